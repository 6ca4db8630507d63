/** How one transfer stands. */
export interface TransferView {
  readonly label: string;
  readonly bytes: number;
  /** Absent when nobody said how much there is. */
  readonly totalBytes: number | undefined;
  /** Over the last seconds; over all of it once done. */
  readonly bytesPerSecond: number;
  readonly elapsedMs: number;
  readonly done: boolean;
}

const WINDOW_MS = 4_000;

/** Follows one transfer by its byte counts. Times are milliseconds of any clock that does not go back. */
export class TransferMeter {
  readonly #label: string;
  readonly #startedMs: number;
  #endedMs: number | undefined;
  #totalBytes: number | undefined;
  #bytes = 0;
  #samples: { readonly atMs: number; readonly bytes: number }[];

  constructor(label: string, nowMs: number) {
    this.#label = label;
    this.#startedMs = nowMs;
    this.#samples = [{ atMs: nowMs, bytes: 0 }];
  }

  note(bytes: number, totalBytes: number | undefined, nowMs: number): void {
    if (bytes < this.#bytes) this.#samples = [];
    this.#bytes = bytes;
    this.#totalBytes = totalBytes;
    this.#endedMs = bytes === totalBytes ? (this.#endedMs ?? nowMs) : undefined;
    if (nowMs - (this.#samples.at(-1)?.atMs ?? -Infinity) >= 100) this.#samples.push({ atMs: nowMs, bytes });
    while (this.#samples.length > 2 && nowMs - (this.#samples[1]?.atMs ?? nowMs) >= WINDOW_MS) this.#samples.shift();
  }

  view(nowMs: number): TransferView {
    const done = this.#endedMs !== undefined;
    const elapsedMs = (this.#endedMs ?? nowMs) - this.#startedMs;
    return {
      label: this.#label,
      bytes: this.#bytes,
      totalBytes: this.#totalBytes,
      bytesPerSecond: done ? (this.#bytes * 1000) / Math.max(elapsedMs, 1) : this.#recentRate(nowMs),
      elapsedMs,
      done,
    };
  }

  /** Falls towards zero while nothing comes. */
  #recentRate(nowMs: number): number {
    const [first] = this.#samples;
    if (first === undefined || nowMs <= first.atMs) return 0;
    return ((this.#bytes - first.bytes) * 1000) / (nowMs - first.atMs);
  }
}
