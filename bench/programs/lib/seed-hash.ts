import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';

/** SHA-256 as the first version of this library took it: pieces of 64 KiB, one by one. */
export async function seedHash(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of createReadStream(path)) hash.update(piece as Buffer);
  return hash.digest('hex');
}
