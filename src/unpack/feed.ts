import type { Writable } from 'node:stream';

/** The pieces of a packed file, in their order. */
export type Pieces = AsyncIterator<Uint8Array, undefined>;

/** Writes a piece and waits until it was taken. False when `into` was closed before that. */
export function taken(into: Writable, piece: Uint8Array): Promise<boolean> {
  if (into.destroyed) return Promise.resolve(false);
  return new Promise((resolve) => {
    const settle = (isTaken: boolean): void => {
      into.off('close', onClose);
      resolve(isTaken);
    };
    const onClose = (): void => settle(false);
    into.once('close', onClose);
    into.write(piece, (error) => settle(error == null));
  });
}
