import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { SmartVMError, bootArgsFor, type Artifact, type ImageSource } from 'smartvm';

/**
 * Images from a folder that holds `vmlinux` and `rootfs.squashfs`, asked for as `folder:./my-build`.
 * The source says what the bytes must be and how to begin reading them; verifying and storing is not its business.
 */
export const folderSource: ImageSource = {
  scheme: 'folder',
  asksEveryTime: true,
  resolvesOffline: () => true,

  async resolve(locator, { arch }) {
    const folder = resolve(locator);
    const kernel = await fileArtifact(join(folder, 'vmlinux'));
    const rootfs = await fileArtifact(join(folder, 'rootfs.squashfs'));
    return {
      facts: {
        reference: `folder:${locator}`,
        preset: 'custom',
        bundleId: `folder-${basename(folder)}-${arch}`,
        arch,
        ciVersion: 'custom',
        firecrackerVersion: 'v1.9.0',
        rootfsType: 'squashfs',
        rootfsIsReadOnly: true,
        bootArgs: bootArgsFor(arch, 'squashfs', true),
        source: { type: 'custom', scheme: 'folder', locator: folder },
        trust: 'first-use',
      },
      artifacts: { kernel, rootfs },
    };
  },
};

/** The identity names the content where no digest does: a file that was changed is another artifact. */
async function fileArtifact(path: string): Promise<Artifact> {
  const { size, mtimeNs } = await stat(path, { bigint: true }).catch((cause: unknown) => {
    throw new SmartVMError(`Failed to find ${path}`, 'BASE_IMAGE_RESOLVE_FAILED', {
      cause,
      hint: 'A folder of images holds vmlinux and rootfs.squashfs.',
    });
  });
  return {
    fileName: basename(path),
    identity: `file ${path} ${size} ${mtimeNs}`,
    bytes: Number(size),
    open: async (_context, range) =>
      createReadStream(path, range && { start: range.start, end: range.end === undefined ? Infinity : range.end - 1 }),
  };
}
