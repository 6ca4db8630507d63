import { createHash, type Hash } from 'node:crypto';
import { open, type FileHandle } from 'node:fs/promises';
import { SmartVMError } from '../errors.ts';
import type { Artifact, Context } from '../image.ts';
import { sayingSpace } from './space.ts';
import { writing } from './store-error.ts';

/** What was written: exactly these bytes, with this digest. */
export interface Ingested {
  readonly sha256: string;
  readonly bytes: number;
}

export interface IngestOptions {
  /** No more than this is written, whatever the stream gives. */
  readonly maxBytes: number;
  /** Called with the bytes written so far. */
  readonly onBytes: (bytes: number) => void;
}

/** Gathered before one write: large enough to be cheap, small enough to be in memory twice. */
const GATHER_BYTES = 1024 * 1024;

/**
 * Pulls an artifact into a new file, hashed over exactly the bytes handed to the kernel, and makes it durable and read-only.
 * One write is under way while the next bytes arrive.
 *
 * Rejects with `STORE_SIZE_MISMATCH`, `STORE_DIGEST_MISMATCH`, `STORE_NO_SPACE`, `STORE_UNWRITABLE`, or with what the stream
 * rejects with. The file may then be there in part; it lies in staging, and its owner removes that.
 */
export async function ingest(
  artifact: Artifact,
  path: string,
  context: Context,
  options: IngestOptions,
): Promise<Ingested> {
  // The file comes first: a stream that was opened must be read or destroyed, and a file that fails would leave it hanging.
  const handle = await writing(`create ${path}`, () => open(path, 'wx', 0o600));
  try {
    // Whoever fails first ends the others; one that has not begun need not begin.
    context.signal?.throwIfAborted();
    const written = await pour(
      await artifact.open(context),
      new HashedFile(handle, path, artifact),
      artifact,
      context,
      options,
    );
    await writing(`sync ${path}`, async () => {
      await handle.chmod(0o444);
      await handle.sync();
    });
    return written;
  } finally {
    await handle.close();
  }
}

async function pour(
  stream: AsyncIterable<Uint8Array>,
  file: HashedFile,
  artifact: Artifact,
  context: Context,
  { maxBytes, onBytes }: IngestOptions,
): Promise<Ingested> {
  const limit = Math.min(artifact.bytes ?? maxBytes, maxBytes);
  let received = 0;
  try {
    for await (const chunk of stream) {
      context.signal?.throwIfAborted();
      received += chunk.byteLength;
      if (received > limit) throw wrongSize(artifact, limit, `more than ${limit}`);
      for (let start = 0; start < chunk.byteLength;) {
        start += file.gather(chunk, start);
        if (!file.isFull) continue;
        await file.flush();
        onBytes(file.writtenBytes);
      }
    }
    await file.flush();
  } finally {
    await file.settle();
  }
  const sha256 = await file.end();
  onBytes(received);
  context.signal?.throwIfAborted();
  if (artifact.bytes !== undefined && received !== artifact.bytes) {
    throw wrongSize(artifact, artifact.bytes, String(received));
  }
  if (artifact.sha256 !== undefined && sha256 !== artifact.sha256.toLowerCase()) {
    throw new SmartVMError(
      `${artifact.fileName} SHA-256 mismatch: expected ${artifact.sha256.toLowerCase()}, got ${sha256}`,
      'STORE_DIGEST_MISMATCH',
      {
        hint: 'The source gave other bytes than were promised. Ask whoever publishes the digest before you trust either.',
      },
    );
  }
  return { sha256, bytes: received };
}

/**
 * A file written from its beginning through two buffers: one fills while the other is written and hashed. Bytes are copied
 * in, because a stream may use its chunk again and what is hashed must be what is written.
 */
class HashedFile {
  readonly #handle: FileHandle;
  readonly #path: string;
  readonly #neededBytes: number;
  readonly #hash: Hash = createHash('sha256');
  #filling = Buffer.allocUnsafe(GATHER_BYTES);
  #spare = Buffer.allocUnsafe(GATHER_BYTES);
  #filled = 0;
  #position = 0;
  #writtenBytes = 0;
  #underWay: Promise<void> = Promise.resolve();

  constructor(handle: FileHandle, path: string, { bytes = 0 }: Artifact) {
    this.#handle = handle;
    this.#path = path;
    this.#neededBytes = bytes;
  }

  get isFull(): boolean {
    return this.#filled === GATHER_BYTES;
  }

  /** Bytes that the kernel has taken. */
  get writtenBytes(): number {
    return this.#writtenBytes;
  }

  /** Takes what fits of `chunk` from `start` on, and says how much that was. */
  gather(chunk: Uint8Array, start: number): number {
    const end = Math.min(chunk.byteLength, start + GATHER_BYTES - this.#filled);
    this.#filling.set(chunk.subarray(start, end), this.#filled);
    this.#filled += end - start;
    return end - start;
  }

  /** Begins to write what was gathered; rejects when the write before it failed. */
  async flush(): Promise<void> {
    await this.#underWay;
    const bytes = this.#filling.subarray(0, this.#filled);
    [this.#filling, this.#spare, this.#filled] = [this.#spare, this.#filling, 0];
    this.#underWay = this.#write(bytes, this.#position);
    // A failed write is told by the next flush; until then it must not count as unhandled.
    this.#underWay.catch(() => undefined);
    this.#position += bytes.byteLength;
    this.#hash.update(bytes);
  }

  /** Waits until nothing is under way: the descriptor must not be closed under a write. */
  async settle(): Promise<void> {
    await this.#underWay.catch(() => undefined);
  }

  /** The digest of all that was written, once it was; lower-case hex. */
  async end(): Promise<string> {
    await this.#underWay;
    return this.#hash.digest('hex');
  }

  async #write(bytes: Buffer, position: number): Promise<void> {
    await sayingSpace(this.#path, this.#neededBytes - position, async () => {
      const { bytesWritten } = await this.#handle.write(bytes, 0, bytes.byteLength, position);
      if (bytesWritten === bytes.byteLength) return;
      throw new SmartVMError(
        `Failed to write ${this.#path}: ${bytesWritten} of ${bytes.byteLength} bytes were taken`,
        'STORE_NO_SPACE',
        { hint: 'The disk, a quota or a limit on file sizes is reached.' },
      );
    });
    this.#writtenBytes = position + bytes.byteLength;
  }
}

function wrongSize(artifact: Artifact, expected: number, got: string): SmartVMError {
  return new SmartVMError(
    `${artifact.fileName} size mismatch: expected ${expected} bytes, got ${got}`,
    'STORE_SIZE_MISMATCH',
    {
      hint: 'The transfer was cut or the source changed: ask again, and check the size that is promised.',
      retryable: true,
    },
  );
}
