import type { TransferLimits } from '../settings.ts';
import { PaceWatch } from './pace-watch.ts';
import type { Pieces } from './pieces.ts';

export interface WideBodyOptions {
  /** How many bytes the body has. */
  readonly bytes: number;
  readonly url: string;
  readonly limits: TransferLimits;
  /** Has more bytes come. */
  readonly resume: () => void;
  readonly destroy: () => void;
}

/** So much may have arrived and not been asked for yet. */
const AHEAD_BYTES = 1024 * 1024;

/** A body of known length as its connection gives it. */
export class WideBody implements Pieces {
  readonly #options: WideBodyOptions;
  readonly #watch: PaceWatch;
  readonly #pieces: Uint8Array[] = [];
  #leftBytes: number;
  #aheadBytes = 0;
  #isOver = false;
  #failure: Error | undefined;
  #waiter: { resolve(piece: Uint8Array | undefined): void; reject(reason: Error): void } | undefined;

  constructor(options: WideBodyOptions) {
    this.#options = options;
    this.#leftBytes = options.bytes;
    this.#watch = new PaceWatch(options.url, options.limits, (tooSlow) => this.ended(tooSlow));
    if (options.bytes === 0) this.ended(undefined);
  }

  get isComplete(): boolean {
    return this.#leftBytes === 0;
  }

  next(): Promise<Uint8Array | undefined> {
    const piece = this.#pieces.shift();
    if (piece !== undefined) {
      const wasFull = this.#aheadBytes >= AHEAD_BYTES;
      this.#aheadBytes -= piece.byteLength;
      if (wasFull && this.#aheadBytes < AHEAD_BYTES && !this.#isOver) this.#options.resume();
      return Promise.resolve(piece);
    }
    if (this.#isOver) return this.#failure === undefined ? Promise.resolve(undefined) : Promise.reject(this.#failure);
    this.#watch.waiting();
    return new Promise((resolve, reject) => (this.#waiter = { resolve, reject }));
  }

  destroy(): void {
    this.ended(undefined);
  }

  /** Takes what has come: what is beyond the body is nobody's. False: no more is wanted for now. */
  arrived(come: Uint8Array): boolean {
    if (this.#isOver) return false;
    const piece = come.byteLength > this.#leftBytes ? come.subarray(0, this.#leftBytes) : come;
    this.#leftBytes -= piece.byteLength;
    this.#watch.saw(piece.byteLength);
    const waiter = this.#waiter;
    this.#waiter = undefined;
    if (waiter !== undefined) {
      waiter.resolve(piece);
    } else {
      this.#pieces.push(piece);
      this.#aheadBytes += piece.byteLength;
    }
    if (this.#leftBytes === 0) this.ended(undefined);
    return !this.isComplete && this.#aheadBytes < AHEAD_BYTES;
  }

  /** No more will come. */
  ended(failure: Error | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#failure = failure;
    this.#watch.stop();
    const waiter = this.#waiter;
    this.#waiter = undefined;
    if (failure === undefined) waiter?.resolve(undefined);
    else waiter?.reject(failure);
    this.#options.destroy();
  }
}
