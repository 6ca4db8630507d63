import type { IncomingMessage } from 'node:http';
import { PieceQueue } from './piece-queue.ts';
import type { Pieces } from './pieces.ts';
import type { Answer } from './request.ts';

/** A body as `node:http` gives it. */
export class Incoming implements Pieces {
  readonly #message: IncomingMessage;
  readonly #queue: PieceQueue;

  constructor({ body, finalUrl, limits }: Answer) {
    this.#message = body;
    const queue = new PieceQueue(finalUrl, limits, {
      resume: () => body.resume(),
      giveUp: (tooSlow) => body.destroy(tooSlow),
    });
    this.#queue = queue;
    body.on('data', (piece: Uint8Array) => {
      queue.push(piece);
      if (queue.isFull) body.pause();
    });
    body.on('end', () => queue.end());
    body.on('error', (error) => queue.end(error));
    body.on('close', () => queue.end());
    // A body whose connection broke before anybody listened says nothing any more.
    if (body.destroyed) queue.end(body.errored ?? undefined);
  }

  get isComplete(): boolean {
    return this.#message.complete;
  }

  next(): Promise<Uint8Array | undefined> {
    return this.#queue.next();
  }

  destroy(): void {
    this.#queue.end();
    this.#message.destroy();
  }
}
