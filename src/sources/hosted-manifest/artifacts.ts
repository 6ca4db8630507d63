import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { isAbsolute, resolve, sep } from 'node:path';
import { SmartVMError, messageOf } from '../../errors.ts';
import {
  isPlainName,
  lastSegment,
  toPlainName,
  type Artifact,
  type ArtifactRole,
  type ByteRange,
  type Context,
} from '../../image.ts';
import type { TransferPolicy } from '../../transfer/address.ts';
import { openStream } from '../../transfer/transfer.ts';
import type { ArtifactManifest, HostedManifest } from './schema.ts';

const CHUNK_BYTES = 1024 * 1024;

/** The name of each file in the bundle: given, else derived; derived names that meet another get their role in front. */
export function namesOf(manifest: HostedManifest): Readonly<Record<ArtifactRole, string>> {
  const roles = (['kernel', 'rootfs', 'initrd'] as const).filter((role) => manifest[role] !== undefined);
  const names = Object.fromEntries(roles.map((role) => [role, nameOf(role, manifest)]));
  const folded = Object.values(names).map((name) => name.toLowerCase());
  for (const role of roles) {
    const name = names[role] ?? '';
    const meets =
      folded.filter((one) => one === name.toLowerCase()).length > 1 || name.toLowerCase() === 'manifest.json';
    if (meets && manifest[role]?.fileName === undefined) names[role] = toPlainName(`${role}-${name}`);
  }
  return { kernel: 'kernel', rootfs: 'rootfs', initrd: 'initrd', ...names };
}

function nameOf(role: ArtifactRole, manifest: HostedManifest): string {
  const { fileName, url, path } = manifest[role] ?? {};
  if (fileName !== undefined) return fileName;
  const defaults = { kernel: 'vmlinux', rootfs: `rootfs.${manifest.rootfsType}`, initrd: 'initrd' };
  const segment = lastSegment(url ?? path ?? '');
  const name = segment === '' ? defaults[role] : toPlainName(segment);
  return isPlainName(name) ? name : defaults[role];
}

/** An artifact behind an URL. */
export function remoteArtifact(
  fileName: string,
  url: string,
  { sha256, sizeBytes }: ArtifactManifest,
  policy: TransferPolicy,
): Artifact {
  return {
    fileName,
    identity: JSON.stringify(['url', url, sha256?.toLowerCase()]),
    ...promised(sha256, sizeBytes),
    async open(context, range) {
      const { body } = await openStream(url, { policy, signal: context.signal, expectedBytes: sizeBytes, range });
      return body;
    },
  };
}

/**
 * An artifact on this disk, looked at now: a regular file, in the manifest's folder when its path is relative.
 *
 * Rejects with `INVALID_BASE_IMAGE_MANIFEST`.
 */
export async function localArtifact(
  fileName: string,
  field: string,
  { path = '', sha256, sizeBytes }: ArtifactManifest,
  manifestDir: string,
): Promise<{ readonly artifact: Artifact; readonly sourcePath: string }> {
  const sourcePath = resolve(manifestDir, path);
  if (!isAbsolute(path) && !sourcePath.startsWith(manifestDir.endsWith(sep) ? manifestDir : manifestDir + sep)) {
    throw badPath(field, path, 'leads out of the folder of the manifest');
  }
  const stats = await withFile(field, sourcePath, (handle) => handle.stat({ bigint: true }));
  if (sizeBytes !== undefined && stats.size !== BigInt(sizeBytes)) {
    throw badPath(field, path, `is ${stats.size} bytes, and sizeBytes says ${sizeBytes}`);
  }
  return {
    sourcePath,
    artifact: {
      fileName,
      identity: JSON.stringify(['file', sourcePath, String(stats.ino), String(stats.mtimeNs), String(stats.ctimeNs)]),
      ...promised(sha256, Number(stats.size)),
      open: (context, range) => Promise.resolve(readFrom(field, sourcePath, context, range)),
    },
  };
}

function promised(sha256: string | undefined, bytes: number | undefined): Pick<Artifact, 'sha256' | 'bytes'> {
  return {
    ...(sha256 === undefined ? {} : { sha256: sha256.toLowerCase() }),
    ...(bytes === undefined ? {} : { bytes }),
  };
}

async function* readFrom(
  field: string,
  path: string,
  { signal }: Context,
  range?: ByteRange,
): AsyncGenerator<Uint8Array> {
  const handle = await openRegular(field, path);
  try {
    const end = range?.end ?? Infinity;
    for (let position = range?.start ?? 0; position < end;) {
      signal?.throwIfAborted();
      const wanted = Math.min(CHUNK_BYTES, end - position);
      // A buffer of its own for each piece: whoever reads may still be writing the last one.
      const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(wanted), 0, wanted, position);
      if (bytesRead === 0) return;
      position += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await handle.close();
  }
}

async function withFile<T>(field: string, path: string, work: (handle: FileHandle) => Promise<T>): Promise<T> {
  const handle = await openRegular(field, path);
  try {
    return await work(handle);
  } finally {
    await handle.close();
  }
}

/** A FIFO would be waited on for ever, a device has no end. */
async function openRegular(field: string, path: string): Promise<FileHandle> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((cause: unknown) => {
    throw badPath(field, path, `cannot be opened: ${messageOf(cause)}`, cause);
  });
  const stats = await handle.stat();
  if (stats.isFile()) return handle;
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
