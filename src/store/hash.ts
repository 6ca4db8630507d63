import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';

const CHUNK_BYTES = 1024 * 1024;

/** SHA-256 of an open file from its beginning, lower-case hex. Reads ahead while it hashes. */
export async function hashFile(handle: FileHandle, signal?: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  const buffers = [Buffer.allocUnsafe(CHUNK_BYTES), Buffer.allocUnsafe(CHUNK_BYTES)] as const;
  let position = 0;
  let next = handle.read(buffers[0], 0, CHUNK_BYTES, 0);
  for (let turn = 1; ; turn ^= 1) {
    const { bytesRead, buffer } = await next;
    if (bytesRead === 0) return hash.digest('hex');
    signal?.throwIfAborted();
    position += bytesRead;
    next = handle.read(turn === 1 ? buffers[1] : buffers[0], 0, CHUNK_BYTES, position);
    // Hashing throws only when out of memory; the read under way is awaited by the next turn.
    hash.update(buffer.subarray(0, bytesRead));
  }
}
