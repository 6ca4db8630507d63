import { SmartVMError } from '../errors.ts';
import type { Artifact } from '../image.ts';
import type { Content } from './blobs.ts';
import type { HashedFile } from './hashed-file.ts';

export interface IngestOptions {
  /** No more than this is taken, whatever the stream gives. */
  readonly maxBytes: number;
  readonly signal: AbortSignal | undefined;
}

/**
 * Pulls a stream to its end into a file, and holds what is in the file then against what the artifact must be. Says what that
 * is: exactly these bytes, with this digest.
 *
 * Rejects with `STORE_SIZE_MISMATCH`, `STORE_DIGEST_MISMATCH`, `STORE_NO_SPACE`, `STORE_UNWRITABLE`, the signal's reason, or with what
 * the stream rejects with.
 */
export async function ingest(
  stream: AsyncIterable<Uint8Array>,
  file: HashedFile,
  artifact: Artifact,
  { maxBytes, signal }: IngestOptions,
): Promise<Content> {
  const limit = Math.min(artifact.bytes ?? maxBytes, maxBytes);
  let bytes = file.bytes;
  for await (const piece of stream) {
    signal?.throwIfAborted();
    bytes += piece.byteLength;
    if (bytes > limit) throw wrongSize(artifact, limit, `more than ${limit}`);
    file.add(piece);
    if (file.isFull) await file.room();
  }
  await file.flush();
  signal?.throwIfAborted();
  if (artifact.bytes !== undefined && bytes !== artifact.bytes) {
    throw wrongSize(artifact, artifact.bytes, String(bytes));
  }
  const sha256 = file.digest();
  const expected = artifact.sha256?.toLowerCase() ?? sha256;
  if (sha256 !== expected) throw wrongDigest(artifact, expected, sha256);
  return { sha256, bytes };
}

/** True for a failure that says: these bytes are not what they must be. */
export function isMismatch(error: unknown): error is SmartVMError {
  return (
    error instanceof SmartVMError && (error.code === 'STORE_DIGEST_MISMATCH' || error.code === 'STORE_SIZE_MISMATCH')
  );
}

function wrongDigest({ fileName }: Artifact, expected: string, got: string): SmartVMError {
  return new SmartVMError(`${fileName} SHA-256 mismatch: expected ${expected}, got ${got}`, 'STORE_DIGEST_MISMATCH', {
    hint: 'The source gave other bytes than were promised. Ask whoever publishes the digest before you trust either.',
  });
}

function wrongSize({ fileName }: Artifact, expected: number, got: string): SmartVMError {
  return new SmartVMError(`${fileName} size mismatch: expected ${expected} bytes, got ${got}`, 'STORE_SIZE_MISMATCH', {
    hint: 'The transfer was cut or the source changed: ask again, and check the size that is promised.',
    retryable: true,
  });
}
