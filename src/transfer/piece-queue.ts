import type { TransferLimits } from '../settings.ts';
import { PaceWatch } from './pace-watch.ts';

/** What a queue does with the connection that fills it. */
export interface Filler {
  /** More may come again. */
  resume(): void;
  /** It was too slow, and is to end. */
  giveUp(tooSlow: Error): void;
}

/** So much may have arrived and not been asked for yet. */
const AHEAD_BYTES = 1024 * 1024;

/** Pieces of a body between its connection and its reader, with a watch over their pace. */
export class PieceQueue {
  readonly #filler: Filler;
  readonly #watch: PaceWatch;
  readonly #pieces: Uint8Array[] = [];
  #aheadBytes = 0;
  #isOver = false;
  #failure: Error | undefined;
  #waiter: { resolve(piece: Uint8Array | undefined): void; reject(reason: Error): void } | undefined;

  constructor(url: string, limits: TransferLimits, filler: Filler) {
    this.#filler = filler;
    this.#watch = new PaceWatch(url, limits, (tooSlow) => filler.giveUp(tooSlow));
  }

  /** True when whoever fills it should wait until `resume()`. */
  get isFull(): boolean {
    return this.#aheadBytes >= AHEAD_BYTES;
  }

  /** True when nothing more will come. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** The next piece, `undefined` when there are no more. To be asked for one at a time. */
  next(): Promise<Uint8Array | undefined> {
    const piece = this.#pieces.shift();
    if (piece !== undefined) {
      const beforeBytes = this.#aheadBytes;
      this.#aheadBytes -= piece.byteLength;
      const hasRoomAgain = beforeBytes >= AHEAD_BYTES && this.#aheadBytes < AHEAD_BYTES;
      if (hasRoomAgain && !this.#isOver) this.#filler.resume();
      return Promise.resolve(piece);
    }
    if (this.#isOver) return this.#failure === undefined ? Promise.resolve(undefined) : Promise.reject(this.#failure);
    this.#watch.waiting();
    return new Promise((resolve, reject) => (this.#waiter = { resolve, reject }));
  }

  push(piece: Uint8Array): void {
    this.#watch.saw(piece.byteLength);
    const waiter = this.#waiter;
    this.#waiter = undefined;
    if (waiter !== undefined) {
      waiter.resolve(piece);
      return;
    }
    this.#pieces.push(piece);
    this.#aheadBytes += piece.byteLength;
  }

  /** No more will come, as it should be or because of this failure. What has come is given all the same. */
  end(failure?: Error): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#failure = failure;
    this.#watch.stop();
    const waiter = this.#waiter;
    this.#waiter = undefined;
    if (failure === undefined) waiter?.resolve(undefined);
    else waiter?.reject(failure);
  }
}
