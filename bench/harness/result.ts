import type { MachineFacts } from './machine.ts';
import { ratioOfPairs, spreadOf, type Spread } from './statistics.ts';

/** What one run of one way cost. */
export interface Sample {
  readonly wallMs: number;
  /** User and system time of the whole process tree; absent where calls inside one process were timed. */
  readonly cpuMs?: number;
  /** The largest resident set of any one process of the tree. */
  readonly peakMiB?: number;
}

/** One way of doing the job, and its samples, one a round. */
export interface Series {
  readonly name: string;
  readonly samples: readonly Sample[];
}

/** Ways of doing one job, taken in alternating rounds. */
export interface Section {
  readonly title: string;
  /** Name of the way that all others are held against. */
  readonly base: string;
  readonly series: readonly Series[];
}

/** A promise about a figure: it is kept while `measured` is no more than `limit`. */
export interface Bound {
  readonly claim: string;
  readonly measured: number;
  readonly limit: number;
  /** `x` for a ratio. */
  readonly unit: 'x' | 'ms' | 'MiB' | '';
  /** Something to aim at, not something promised. */
  readonly isStretch?: boolean;
}

/** What a bench found. */
export interface Findings {
  readonly sections: readonly Section[];
  readonly bounds: readonly Bound[];
  /** What a reader has to know to read the figures rightly. */
  readonly notes?: readonly string[];
}

/** The same with everything that is needed to judge it, as it is kept in a file. */
export interface BenchResult extends Findings {
  readonly bench: string;
  readonly title: string;
  readonly command: string;
  /** ISO 8601. */
  readonly takenAt: string;
  readonly rounds: number;
  /** Of the sizes that are meant; 1 for figures that are worth keeping. */
  readonly scale: number;
  readonly machine: MachineFacts;
}

type Quantity = keyof Sample;

/** @throws Error when the section has no such way. */
function seriesOf({ series, title }: Section, name: string): Series {
  const found = series.find((one) => one.name === name);
  if (found === undefined) throw new Error(`${title} has no ${name}`);
  return found;
}

/** All values of one quantity; none when it was not taken. */
export function valuesOf({ samples }: Series, quantity: Quantity): readonly number[] {
  return samples.flatMap((sample) => sample[quantity] ?? []);
}

export function spreadIn(section: Section, name: string, quantity: Quantity): Spread {
  return spreadOf(valuesOf(seriesOf(section, name), quantity));
}

/** What one way costs in terms of another. */
export function ratioIn(section: Section, name: string, base: string, quantity: Quantity = 'wallMs'): Spread {
  return ratioOfPairs(valuesOf(seriesOf(section, name), quantity), valuesOf(seriesOf(section, base), quantity));
}

/** The bound that one way costs no more than `limit` times another. */
export function ratioBound(
  section: Section,
  [name, base]: readonly [name: string, base: string],
  limit: number,
  options: { readonly quantity?: Quantity; readonly isStretch?: boolean } = {},
): Bound {
  const { quantity = 'wallMs', isStretch = false } = options;
  const what = { wallMs: 'wall', cpuMs: 'CPU', peakMiB: 'peak memory' }[quantity];
  const { median } = ratioIn(section, name, base, quantity);
  return { claim: `${section.title}: ${what} of ${name} / ${base}`, measured: median, limit, unit: 'x', isStretch };
}
