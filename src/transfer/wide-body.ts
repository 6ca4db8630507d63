import type { TransferLimits } from '../settings.ts';
import { PieceQueue } from './piece-queue.ts';
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

/** A body of known length as its connection gives it. */
export class WideBody implements Pieces {
  readonly #queue: PieceQueue;
  readonly #destroy: () => void;
  #leftBytes: number;

  constructor({ bytes, url, limits, resume, destroy }: WideBodyOptions) {
    this.#leftBytes = bytes;
    this.#destroy = destroy;
    this.#queue = new PieceQueue(url, limits, { resume, giveUp: (tooSlow) => this.ended(tooSlow) });
    if (bytes === 0) this.ended(undefined);
  }

  get isComplete(): boolean {
    return this.#leftBytes === 0;
  }

  next(): Promise<Uint8Array | undefined> {
    return this.#queue.next();
  }

  destroy(): void {
    this.ended(undefined);
  }

  /** Takes what has come: what is beyond the body is nobody's. False: no more is wanted for now. */
  arrived(come: Uint8Array): boolean {
    if (this.#queue.isOver) return false;
    const piece = come.byteLength > this.#leftBytes ? come.subarray(0, this.#leftBytes) : come;
    this.#leftBytes -= piece.byteLength;
    this.#queue.push(piece);
    if (this.isComplete) this.ended(undefined);
    return !this.isComplete && !this.#queue.isFull;
  }

  /** No more will come. */
  ended(failure: Error | undefined): void {
    if (this.#queue.isOver) return;
    this.#queue.end(failure);
    this.#destroy();
  }
}
