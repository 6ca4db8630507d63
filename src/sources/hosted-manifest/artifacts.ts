import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { isAbsolute, resolve, sep } from 'node:path';
import { SmartVMError, messageOf } from '../../errors.ts';
import type { Artifact, ArtifactStream, ByteRange, CompressedForm, Context } from '../../image.ts';
import { shown } from '../../transfer/address.ts';
import type { Network } from '../../transfer/network.ts';
import { remoteOpener } from '../../transfer/transfer.ts';
import { unpackingOpener } from '../../unpack/unpack.ts';
import type { ArtifactManifest } from './manifest.ts';

const CHUNK_BYTES = 1024 * 1024;

/** An artifact behind an URL. */
export function remoteArtifact(
  fileName: string,
  url: string,
  { sha256, sizeBytes, compressed }: ArtifactManifest,
  network: Network,
): Artifact {
  const form = compressed && formOf(compressed);
  const plain = { bytes: sizeBytes, sha256: sha256?.toLowerCase() };
  return {
    fileName,
    identity: JSON.stringify(['url', url, sha256?.toLowerCase()]),
    ...promised(sha256, sizeBytes),
    url,
    ...unpacked(shown(url), remoteOpener({ url, ...(form ?? plain) }, network), form, sizeBytes),
  };
}

/**
 * An artifact on this disk, looked at now: a regular file, in the manifest's folder when its path is relative. Reading it later
 * rejects when it is no longer the same.
 *
 * Rejects with `INVALID_BASE_IMAGE_MANIFEST`.
 */
export async function localArtifact(
  fileName: string,
  field: string,
  { path = '', sha256, sizeBytes, compressed }: ArtifactManifest,
  manifestDir: string,
): Promise<{ readonly artifact: Artifact; readonly sourcePath: string }> {
  const sourcePath = resolve(manifestDir, path);
  if (!isAbsolute(path) && !sourcePath.startsWith(manifestDir.endsWith(sep) ? manifestDir : manifestDir + sep)) {
    throw badPath(field, path, 'leads out of the folder of the manifest');
  }
  const handle = await openRegular(field, sourcePath);
  const seen = await handle.stat({ bigint: true }).finally(() => handle.close());
  const said = compressed === undefined ? sizeBytes : compressed.sizeBytes;
  if (said !== undefined && seen.size !== BigInt(said)) {
    const says = compressed === undefined ? 'sizeBytes' : 'compressed.sizeBytes';
    throw badPath(field, path, `is ${seen.size} bytes, and ${says} says ${said}`);
  }
  const identity = identityOf(sourcePath, seen);
  const bytes = Number(seen.size);
  const form = compressed && { ...formOf(compressed), bytes };
  const open: Artifact['open'] = (context, range) =>
    Promise.resolve(streamOf({ field, path: sourcePath, identity }, context, range));
  return {
    sourcePath,
    artifact: {
      fileName,
      // The same file as it is, and what is packed in it, are two contents.
      identity: form === undefined ? identity : JSON.stringify(['unpacked', form.format, identity]),
      ...promised(sha256, form === undefined ? bytes : sizeBytes),
      ...unpacked(sourcePath, open, form, sizeBytes),
    },
  };
}

/** How a file is opened that `open` opens as it lies there; `form` is absent when it is stored like that. */
function unpacked(
  name: string,
  open: Artifact['open'],
  form: CompressedForm | undefined,
  plainBytes = 0,
): Pick<Artifact, 'compressed' | 'open'> {
  if (form === undefined) return { open };
  return { compressed: form, open: unpackingOpener(open, { name, form, plainBytes }) };
}

function formOf({ format, sha256, sizeBytes }: NonNullable<ArtifactManifest['compressed']>): CompressedForm {
  return { format, ...promised(sha256, sizeBytes) };
}

interface LocalFile {
  readonly field: string;
  readonly path: string;
  readonly identity: string;
}

/** The identity of a local file stands for its bytes: the rest of the same file can be read at any time. */
function streamOf(file: LocalFile, context: Context, range: ByteRange | undefined): ArtifactStream {
  const isOther = range?.validator !== undefined && range.validator !== file.identity;
  const wanted = isOther ? { start: 0 } : range;
  const bytes = readFrom(file, context, wanted);
  return {
    start: wanted?.start ?? 0,
    validator: file.identity,
    [Symbol.asyncIterator]: () => bytes,
  };
}

async function* readFrom(file: LocalFile, { signal }: Context, range?: ByteRange): AsyncGenerator<Uint8Array> {
  const handle = await openRegular(file.field, file.path);
  try {
    await requireSame(handle, file);
    const end = range?.end ?? Infinity;
    for (let position = range?.start ?? 0; position < end;) {
      signal?.throwIfAborted();
      const wanted = Math.min(CHUNK_BYTES, end - position);
      // A buffer of its own for each piece: whoever reads may still be writing the last one.
      const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(wanted), 0, wanted, position);
      if (bytesRead === 0) break;
      position += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
    await requireSame(handle, file);
  } finally {
    await handle.close();
  }
}

/** What is read must be what was looked at: its identity stands for these bytes in the cache. */
async function requireSame(handle: FileHandle, { field, path, identity }: LocalFile): Promise<void> {
  if (identityOf(path, await handle.stat({ bigint: true })) === identity) return;
  throw new SmartVMError(
    `Failed to read ${field}.path ${JSON.stringify(path)}: it changed while the image was prepared`,
    'INVALID_BASE_IMAGE_MANIFEST',
    { retryable: true, hint: 'Ask again when nobody writes it.' },
  );
}

interface FileFacts {
  readonly dev: bigint;
  readonly ino: bigint;
  readonly size: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
}

function identityOf(path: string, { dev, ino, size, mtimeNs, ctimeNs }: FileFacts): string {
  return JSON.stringify(['file', path, ...[dev, ino, size, mtimeNs, ctimeNs].map(String)]);
}

function promised(sha256: string | undefined, bytes: number | undefined): Pick<Artifact, 'sha256' | 'bytes'> {
  return {
    ...(sha256 === undefined ? {} : { sha256: sha256.toLowerCase() }),
    ...(bytes === undefined ? {} : { bytes }),
  };
}

/** A FIFO would be waited on for ever, a device has no end. */
async function openRegular(field: string, path: string): Promise<FileHandle> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((cause: unknown) => {
    throw badPath(field, path, `cannot be opened: ${messageOf(cause)}`, cause);
  });
  const isFile = await handle.stat().then(
    (stats) => stats.isFile(),
    () => false,
  );
  if (isFile) return handle;
  await handle.close();
  throw badPath(field, path, 'is not a regular file');
}

function badPath(field: string, path: string, why: string, cause?: unknown): SmartVMError {
  return new SmartVMError(
    `Failed to use the manifest: ${field}.path ${JSON.stringify(path)} ${why}`,
    'INVALID_BASE_IMAGE_MANIFEST',
    {
      hint: 'Paths are relative to the folder of the manifest, or absolute.',
      ...(cause === undefined ? {} : { cause }),
    },
  );
}
