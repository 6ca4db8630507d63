import { parseArgs } from 'node:util';
import type { Flags, Grammar } from './grammar.ts';
import { UsageError } from './usage-error.ts';

/** The arguments of one call of a verb, checked against what the verb takes. */
export class CommandArguments {
  readonly operands: readonly string[];
  readonly #verb: string;
  readonly #values: ReadonlyMap<string, readonly (string | boolean)[]>;

  constructor(verb: string, operands: readonly string[], values: ReadonlyMap<string, readonly (string | boolean)[]>) {
    this.operands = operands;
    this.#verb = verb;
    this.#values = values;
  }

  /** True when the switch was given. */
  has(flag: string): boolean {
    return this.#values.has(flag);
  }

  /** What the flag was given, the last time it was; an empty text counts as not given. */
  text(flag: string): string | undefined {
    const last = this.texts(flag).at(-1);
    return last === '' ? undefined : last;
  }

  /** Everything the flag was given. */
  texts(flag: string): readonly string[] {
    return (this.#values.get(flag) ?? []).filter((value) => typeof value === 'string');
  }

  /**
   * What the flag was given, read by `read`.
   *
   * @throws UsageError when `read` rejects the text with an `Error`, whose message says what would be right.
   */
  read<T>(flag: string, read: (text: string) => T): T | undefined {
    const text = this.text(flag);
    return text === undefined ? undefined : this.reading(`--${flag}`, text, read);
  }

  /** The same for a text from elsewhere, for example an environment variable. */
  reading<T>(from: string, text: string, read: (text: string) => T): T {
    try {
      return read(text);
    } catch (error) {
      throw this.wrong(`${from} ${JSON.stringify(text)}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  /** A usage error that points to this verb's help. */
  wrong(message: string): UsageError {
    return new UsageError(message, seeHelp(this.#verb));
  }
}

/**
 * Reads the arguments behind a verb.
 *
 * Rejects with a `UsageError` for an unknown flag, a flag without its value, too few or too many operands.
 */
export async function readArguments(verb: Grammar, argv: readonly string[]): Promise<CommandArguments> {
  const { positionals, values } = await parse(verb, argv);
  const args = new CommandArguments(verb.name, positionals, values);
  if (args.has('help')) return args;
  const { min, max, text } = verb.operands;
  if (positionals.length < min) throw args.wrong(`${verb.name} needs ${text}`);
  const extra = positionals[max];
  if (extra !== undefined) {
    throw args.wrong(
      `${verb.name} takes ${text === '' ? 'no argument' : `only ${text}`}, got ${JSON.stringify(extra)}`,
    );
  }
  return args;
}

/** Every verb has this one. */
export const HELP_FLAG: Flags = { help: { short: 'h', help: 'Explain this command.' } };

async function parse(
  verb: Grammar,
  argv: readonly string[],
): Promise<{ positionals: string[]; values: Map<string, readonly (string | boolean)[]> }> {
  const flags = { ...verb.flags, ...HELP_FLAG };
  const options = Object.fromEntries(
    Object.entries(flags).map(([name, { short, value }]) => [
      name,
      {
        type: value === undefined ? ('boolean' as const) : ('string' as const),
        multiple: true as const,
        ...(short === undefined ? {} : { short }),
      },
    ]),
  );
  try {
    const { positionals, values } = parseArgs({ args: [...argv], options, allowPositionals: true, strict: true });
    const given = Object.entries(values).filter(([, value]) => Array.isArray(value));
    return { positionals, values: new Map(given as [string, (string | boolean)[]][]) };
  } catch (error) {
    throw new UsageError(await explain(error, Object.keys(flags)), seeHelp(verb.name));
  }
}

/** Node's words for what is wrong, without its advice on dashes. */
async function explain(error: unknown, flags: readonly string[]): Promise<string> {
  const message = error instanceof Error ? error.message : String(error);
  const unknown = /^Unknown option '(-{1,2}([^']*))'/.exec(message);
  if (unknown === null) return message.replaceAll('\n', ' ');
  const { nearest } = await import('./nearest.ts');
  const near = nearest(unknown[2] ?? '', flags);
  return `unknown flag ${unknown[1] ?? ''}${near === undefined ? '' : `, did you mean --${near}?`}`;
}

function seeHelp(verb: string): string {
  return `See "smartvm ${verb} --help".`;
}
