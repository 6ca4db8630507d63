/** A number and how far it moved between rounds. */
export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

/** @throws Error when there is nothing to take the middle of. */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const [least] = sorted;
  const most = sorted.at(-1);
  const upper = sorted[Math.floor(sorted.length / 2)];
  const lower = sorted[Math.ceil(sorted.length / 2) - 1];
  if (least === undefined || most === undefined || upper === undefined || lower === undefined) {
    throw new Error('there is no median of no values');
  }
  return { median: (lower + upper) / 2, least, most };
}

/** Ratios of values that were taken in the same round: what slows a whole round down slows both and cancels out. */
export function ratioOfPairs(values: readonly number[], bases: readonly number[]): Spread {
  return spreadOf(
    values.flatMap((value, round) => {
      const base = bases[round];
      return base === undefined || base === 0 ? [] : [value / base];
    }),
  );
}
