import { createHash, randomFillSync } from 'node:crypto';
import { open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostedManifest } from 'smartvm';

/** A file of random bytes in a folder that is served. */
export interface ImageFile {
  readonly fileName: string;
  readonly bytes: number;
  readonly sha256: string;
}

export interface Images {
  readonly kernel: ImageFile;
  readonly rootfs: ImageFile;
}

const PIECE_BYTES = 1024 ** 2;

/** A kernel and a root file system of these sizes; nothing about random bytes can be compressed or guessed. */
export async function makeImages(
  folder: string,
  kernelBytes: number,
  rootfsBytes: number,
  suffix = '',
): Promise<Images> {
  return {
    kernel: await makeImage(folder, `vmlinux${suffix}`, kernelBytes),
    rootfs: await makeImage(folder, `rootfs${suffix}.ext4`, rootfsBytes),
  };
}

async function makeImage(folder: string, fileName: string, bytes: number): Promise<ImageFile> {
  const hash = createHash('sha256');
  const file = await open(join(folder, fileName), 'w', 0o644);
  try {
    const piece = Buffer.allocUnsafe(PIECE_BYTES);
    for (let written = 0; written < bytes; written += PIECE_BYTES) {
      const part = randomFillSync(piece).subarray(0, Math.min(PIECE_BYTES, bytes - written));
      hash.update(part);
      await file.write(part);
    }
    await file.sync();
  } finally {
    await file.close();
  }
  return { fileName, bytes, sha256: hash.digest('hex') };
}

/** Text of a manifest for images that are served under `origin`. */
export function manifestText({ kernel, rootfs }: Images, origin: string): string {
  const artifact = ({ fileName, bytes, sha256 }: ImageFile) => ({
    url: `${origin}/${fileName}`,
    sha256,
    sizeBytes: bytes,
  });
  const manifest: HostedManifest = {
    schemaVersion: 1,
    bundleId: 'bench',
    arch: 'x86_64',
    firecrackerVersion: 'v1.15.1',
    rootfsType: 'ext4',
    kernel: artifact(kernel),
    rootfs: artifact(rootfs),
  };
  return JSON.stringify(manifest);
}

/** Puts a manifest beside images and returns its address. */
export async function writeManifest(folder: string, name: string, images: Images, origin: string): Promise<string> {
  await writeFile(join(folder, name), manifestText(images, origin));
  return `${origin}/${name}`;
}
