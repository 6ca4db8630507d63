import type { CommandArguments } from './command-arguments.ts';
import type { Shell } from './shell.ts';
import type { Words } from './words.ts';

/** A flag as it is parsed and as it is explained. */
export interface Flag {
  readonly help: string;
  readonly short?: string;
  /** Name of the flag's value in the help, for example `<dir>`; absent for a switch. */
  readonly value?: string;
  /** May be given several times. */
  readonly multiple?: boolean;
}

export type Flags = Readonly<Record<string, Flag>>;

/** What a verb takes besides flags. */
export interface Operands {
  /** As the help shows it: `<reference>`, `[id…]`. */
  readonly text: string;
  readonly min: number;
  readonly max: number;
}

export interface Example {
  readonly command: string;
  readonly says: string;
}

/** What a verb runs with. */
export interface Call {
  readonly shell: Shell;
  readonly args: CommandArguments;
  readonly words: Words;
}

/** One verb of the command line. */
export interface Verb {
  readonly name: string;
  readonly summary: string;
  readonly operands: Operands;
  readonly flags: Flags;
  readonly examples: readonly [Example, ...Example[]];
  /** Does it, and resolves with the exit status. */
  run(call: Call): Promise<number>;
}
