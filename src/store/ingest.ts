import { createHash } from 'node:crypto';
import { open, type FileHandle } from 'node:fs/promises';
import { SmartVMError } from '../errors.ts';
import type { Artifact, Context } from '../image.ts';
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
  const stream = await artifact.open(context);
  const handle = await writing(`create ${path}`, () => open(path, 'wx', 0o600));
  try {
    const written = await pour(stream, handle, artifact, context, options);
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
  handle: FileHandle,
  artifact: Artifact,
  context: Context,
  { maxBytes, onBytes }: IngestOptions,
): Promise<Ingested> {
  const limit = Math.min(artifact.bytes ?? maxBytes, maxBytes);
  const hash = createHash('sha256');
  let received = 0;
  let gathered: Uint8Array[] = [];
  let gatheredBytes = 0;
  let underWay: Promise<void> = Promise.resolve();
  let position = 0;

  const flush = async (): Promise<void> => {
    await underWay;
    onBytes(position);
    const [chunks, start] = [gathered, position];
    position += gatheredBytes;
    [gathered, gatheredBytes] = [[], 0];
    underWay = write(handle, chunks, start, position);
    // A failed write is told by the next flush; until then it must not count as unhandled.
    underWay.catch(() => undefined);
    for (const chunk of chunks) hash.update(chunk);
  };

  try {
    for await (const chunk of stream) {
      context.signal?.throwIfAborted();
      received += chunk.byteLength;
      if (received > limit) throw wrongSize(artifact, limit, `more than ${limit}`);
      gathered.push(chunk);
      gatheredBytes += chunk.byteLength;
      if (gatheredBytes >= GATHER_BYTES) await flush();
    }
    if (gatheredBytes > 0) await flush();
  } finally {
    // The descriptor must not be closed under a write.
    await underWay.catch(() => undefined);
  }
  await underWay;
  onBytes(position);
  context.signal?.throwIfAborted();
  if (artifact.bytes !== undefined && position !== artifact.bytes) {
    throw wrongSize(artifact, artifact.bytes, String(position));
  }
  const sha256 = hash.digest('hex');
  if (artifact.sha256 !== undefined && sha256 !== artifact.sha256.toLowerCase()) {
    throw new SmartVMError(
      `${artifact.fileName} SHA-256 mismatch: expected ${artifact.sha256.toLowerCase()}, got ${sha256}`,
      'STORE_DIGEST_MISMATCH',
      {
        hint: 'The source gave other bytes than were promised. Ask whoever publishes the digest before you trust either.',
      },
    );
  }
  return { sha256, bytes: position };
}

async function write(handle: FileHandle, chunks: Uint8Array[], start: number, end: number): Promise<void> {
  await writing('write to the cache', async () => {
    const { bytesWritten } = await handle.writev(chunks, start);
    if (bytesWritten !== end - start) {
      throw new SmartVMError(
        `Failed to write to the cache: ${bytesWritten} of ${end - start} bytes were taken`,
        'STORE_NO_SPACE',
        { hint: 'The disk or a limit on file sizes is reached.' },
      );
    }
  });
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
