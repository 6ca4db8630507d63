const WINDOW_MS = 3000;
/** Samples closer together than this say nothing more. */
const APART_MS = 100;

/** How fast a count has grown over the last seconds. */
export class Pace {
  readonly #samples: { readonly atMs: number; readonly count: number }[];

  /** Begins to measure: this much was there before. */
  constructor(count: number, nowMs: number) {
    this.#samples = [{ atMs: nowMs, count }];
  }

  /** Notes the count, and gives its growth a second; `undefined` while it is too early to say. */
  perSecond(count: number, nowMs: number): number | undefined {
    const samples = this.#samples;
    const [last] = samples.slice(-1);
    if (last === undefined || nowMs - last.atMs >= APART_MS) samples.push({ atMs: nowMs, count });
    // The youngest of those that are older than the window stays: growth is measured from there.
    while (samples[1] !== undefined && nowMs - samples[1].atMs >= WINDOW_MS) samples.shift();
    const [first] = samples;
    if (first === undefined || nowMs - first.atMs < APART_MS) return undefined;
    return Math.max(0, Math.round(((count - first.count) * 1000) / (nowMs - first.atMs)));
  }
}
