import { createHash, type Hash } from 'node:crypto';
import { close, fsync, openSync, write, writeSync } from 'node:fs';
import { promisify } from 'node:util';

/** A file that is hashed over what is written to it. */
export class HashedFile {
  readonly #fd: number;
  readonly #hash: Hash = createHash('sha256');

  constructor(path: string) {
    this.#fd = openSync(path, 'wx', 0o600);
  }

  /** Writes and hashes on the spot. */
  writeNow(bytes: Uint8Array): void {
    for (let start = 0; start < bytes.byteLength;) start += writeSync(this.#fd, bytes, start);
    this.#hash.update(bytes);
  }

  /** Hashes on the spot, while a thread of the pool writes. */
  async writeBehind(bytes: Uint8Array): Promise<void> {
    const written = promisify(write)(this.#fd, bytes, 0, bytes.byteLength);
    this.#hash.update(bytes);
    const { bytesWritten } = await written;
    if (bytesWritten !== bytes.byteLength) throw new Error(`${bytesWritten} of ${bytes.byteLength} bytes were written`);
  }

  /** Closes the file and returns its digest. */
  async end(syncs: boolean): Promise<string> {
    if (syncs) await promisify(fsync)(this.#fd);
    await promisify(close)(this.#fd);
    return this.#hash.digest('hex');
  }
}
