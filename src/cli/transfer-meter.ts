import type { RetryNews, TransferNews } from './progress.ts';

/** How one transfer stands. */
export interface TransferView {
  readonly label: string;
  readonly bytes: number;
  /** Absent when nobody said how much there is. */
  readonly totalBytes: number | undefined;
  /** How many of `bytes` were here from an earlier attempt. */
  readonly keptBytes: number;
  /** Over the last seconds; over all of it once done. What was kept does not count. */
  readonly bytesPerSecond: number;
  readonly elapsedMs: number;
  readonly done: boolean;
  /** What stands in its way, while it does. */
  readonly trouble: TroubleView | undefined;
}

export interface TroubleView {
  readonly news: RetryNews;
  /** Until it is tried again; 0 when it is being tried. */
  readonly leftMs: number;
}

const WINDOW_MS = 4_000;

/** Follows one transfer by its news. Times are milliseconds of any clock that does not go back. */
export class TransferMeter {
  readonly #label: string;
  readonly #startedMs: number;
  #endedMs: number | undefined;
  #totalBytes: number | undefined;
  #bytes = 0;
  #keptBytes = 0;
  #samples: { readonly atMs: number; readonly bytes: number }[];
  #trouble: { readonly news: RetryNews; readonly untilMs: number } | undefined;

  constructor(label: string, nowMs: number) {
    this.#label = label;
    this.#startedMs = nowMs;
    this.#samples = [{ atMs: nowMs, bytes: 0 }];
  }

  note({ bytes, totalBytes, resumedBytes = 0 }: TransferNews, nowMs: number): void {
    const before = this.#freshBytes;
    this.#bytes = bytes;
    this.#totalBytes = totalBytes;
    this.#keptBytes = Math.min(resumedBytes, bytes);
    this.#endedMs = bytes === totalBytes ? (this.#endedMs ?? nowMs) : undefined;
    // What was still being written when the trouble began says nothing of its end.
    const isOver = this.#trouble !== undefined && nowMs >= this.#trouble.untilMs;
    if (isOver) this.#trouble = undefined;
    const fresh = this.#freshBytes;
    if (isOver || fresh < before) this.#samples = [];
    if (nowMs - (this.#samples.at(-1)?.atMs ?? -Infinity) >= 100) this.#samples.push({ atMs: nowMs, bytes: fresh });
    while (this.#samples.length > 2 && nowMs - (this.#samples[1]?.atMs ?? nowMs) >= WINDOW_MS) this.#samples.shift();
  }

  /** Something stands in the way; more news of the transfer, after the pause, mean that it is gone. */
  retry(news: RetryNews, nowMs: number): void {
    this.#trouble = { news, untilMs: nowMs + news.pauseMs };
  }

  view(nowMs: number): TransferView {
    const done = this.#endedMs !== undefined;
    const elapsedMs = (this.#endedMs ?? nowMs) - this.#startedMs;
    const trouble = this.#trouble;
    return {
      label: this.#label,
      bytes: this.#bytes,
      totalBytes: this.#totalBytes,
      keptBytes: this.#keptBytes,
      bytesPerSecond: done ? (this.#freshBytes * 1000) / Math.max(elapsedMs, 1) : this.#recentRate(nowMs),
      elapsedMs,
      done,
      trouble:
        done || trouble === undefined
          ? undefined
          : { news: trouble.news, leftMs: Math.max(trouble.untilMs - nowMs, 0) },
    };
  }

  get #freshBytes(): number {
    return this.#bytes - this.#keptBytes;
  }

  /** Falls towards zero while nothing comes. */
  #recentRate(nowMs: number): number {
    const [first] = this.#samples;
    if (first === undefined || nowMs <= first.atMs) return 0;
    return ((this.#freshBytes - first.bytes) * 1000) / (nowMs - first.atMs);
  }
}
