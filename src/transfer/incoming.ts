import type { IncomingMessage } from 'node:http';
import { PaceWatch } from './pace-watch.ts';
import type { Pieces } from './pieces.ts';
import type { Answer } from './request.ts';

/** So much may have arrived and not been asked for yet; then the connection is left to wait. */
const AHEAD_BYTES = 1024 * 1024;

/** A body as `node:http` gives it. */
export class Incoming implements Pieces {
  readonly #message: IncomingMessage;
  readonly #watch: PaceWatch;
  readonly #pieces: Uint8Array[] = [];
  #aheadBytes = 0;
  #isOver = false;
  #failure: Error | undefined;
  #waiter: { resolve(piece: Uint8Array | undefined): void; reject(reason: Error): void } | undefined;

  constructor({ body, finalUrl, limits }: Answer) {
    this.#message = body;
    this.#watch = new PaceWatch(finalUrl, limits, (tooSlow) => body.destroy(tooSlow));
    body.on('data', (piece: Uint8Array) => this.#arrived(piece));
    body.on('end', () => this.#ended(undefined));
    body.on('error', (error) => this.#ended(error));
    body.on('close', () => this.#ended(undefined));
    // A body whose connection broke before anybody listened says nothing any more.
    if (body.destroyed) this.#ended(body.errored ?? undefined);
  }

  get isComplete(): boolean {
    return this.#message.complete;
  }

  next(): Promise<Uint8Array | undefined> {
    const piece = this.#pieces.shift();
    if (piece !== undefined) {
      this.#aheadBytes -= piece.byteLength;
      if (this.#aheadBytes < AHEAD_BYTES && this.#message.isPaused()) this.#message.resume();
      return Promise.resolve(piece);
    }
    if (this.#isOver) return this.#failure === undefined ? Promise.resolve(undefined) : Promise.reject(this.#failure);
    this.#watch.waiting();
    return new Promise((resolve, reject) => (this.#waiter = { resolve, reject }));
  }

  destroy(): void {
    this.#watch.stop();
    this.#message.destroy();
  }

  #arrived(piece: Uint8Array): void {
    this.#watch.saw(piece.byteLength);
    const waiter = this.#waiter;
    if (waiter !== undefined) {
      this.#waiter = undefined;
      waiter.resolve(piece);
      return;
    }
    this.#pieces.push(piece);
    this.#aheadBytes += piece.byteLength;
    if (this.#aheadBytes >= AHEAD_BYTES) this.#message.pause();
  }

  #ended(failure: Error | undefined): void {
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
