import { pause } from './retry.ts';

/** So much may come at once after a silence, in time at the full rate. */
const BURST_MS = 100;

/** One rate for any number of transfers: whoever got bytes waits until all of them together have had time for them. */
export class RateLimit {
  readonly #bytesPerMs: number;
  /** When everything that was taken so far has had its time. */
  #paidUntilMs = 0;

  constructor(bytesPerSecond: number) {
    this.#bytesPerMs = bytesPerSecond / 1000;
  }

  /** Takes what has just come, and waits as long as it should have taken. Rejects with the signal's reason when aborted. */
  async take(bytes: number, signal: AbortSignal | undefined): Promise<void> {
    const nowMs = performance.now();
    this.#paidUntilMs = Math.max(this.#paidUntilMs, nowMs - BURST_MS) + bytes / this.#bytesPerMs;
    if (this.#paidUntilMs > nowMs) await pause(this.#paidUntilMs - nowMs, signal);
  }
}
