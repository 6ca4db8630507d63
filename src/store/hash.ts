import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';

const CHUNK_BYTES = 1024 * 1024;

/** SHA-256 of an open file from its beginning, lower-case hex. Reads ahead while it hashes. */
export async function hashFile(handle: FileHandle, signal?: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  for await (const bytes of readAhead(handle, 0, Infinity, signal)) hash.update(bytes);
  return hash.digest('hex');
}

/** The bytes of an open file from `start` to `end`, or to its own end; each piece holds until the next one is asked for. */
export async function* readAhead(
  handle: FileHandle,
  start: number,
  end: number,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, void> {
  const buffers = [Buffer.allocUnsafe(CHUNK_BYTES), Buffer.allocUnsafe(CHUNK_BYTES)] as const;
  const read = (turn: number, position: number): Promise<{ bytesRead: number; buffer: Buffer }> =>
    handle.read(turn === 0 ? buffers[0] : buffers[1], 0, Math.min(CHUNK_BYTES, end - position), position);
  let position = start;
  let next = read(0, position);
  try {
    for (let turn = 1; ; turn ^= 1) {
      const { bytesRead, buffer } = await next;
      if (bytesRead === 0) return;
      signal?.throwIfAborted();
      position += bytesRead;
      next = read(turn, position);
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    // Whoever stops early closes the descriptor, which must not happen under a read.
    await next.catch(() => undefined);
  }
}
