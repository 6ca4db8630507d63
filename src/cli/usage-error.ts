/** The command line was not understood: exit status 2. */
export class UsageError extends Error {
  override readonly name: string = 'UsageError';
  readonly hint: string;

  constructor(message: string, hint: string) {
    super(message);
    this.hint = hint;
  }
}
