import type { CommandArguments } from './command-arguments.ts';
import type { Grammar } from './grammar.ts';
import type { Shell } from './shell.ts';
import type { Words } from './words.ts';

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
export interface Verb extends Grammar {
  readonly summary: string;
  readonly examples: readonly [Example, ...Example[]];
  /** Does it, and resolves with the exit status. */
  run(call: Call): Promise<number>;
}
