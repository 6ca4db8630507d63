/** What a command is given of the process it runs in. The streams are made when they are asked for. */
export interface Shell {
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  /** Writes to stdout without making its stream, which costs more than finding an image does. */
  readonly print: (text: string) => void;
  readonly env: NodeJS.ProcessEnv;
  /** Aborted with an `Interruption` when the process is asked to end. */
  readonly signal: AbortSignal;
}

/** Why a command was ended from outside, and the exit status that says so. Passes as an `AbortError` through the library. */
export class Interruption extends Error {
  override readonly name: string = 'AbortError';
  readonly exitCode: number;

  constructor(what: string, exitCode: number) {
    super(`Interrupted by ${what}`);
    this.exitCode = exitCode;
  }
}
