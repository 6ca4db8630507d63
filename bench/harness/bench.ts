import type { Lab } from './lab.ts';
import type { Findings } from './result.ts';

/** One comparison. */
export interface Bench {
  /** As it is asked for on the command line. */
  readonly name: string;
  readonly title: string;
  run(lab: Lab): Promise<Findings>;
}
