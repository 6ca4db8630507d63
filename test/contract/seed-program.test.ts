import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import {
  BaseImageManager,
  SmartVMError,
  type IBaseImageArtifactManifest,
  type IBaseImageBundle,
  type IBaseImageHostedManifest,
  type IBaseImageManagerOptions,
  type IEnsureBaseImageOptions,
  type TBaseImagePreset,
  type TBaseImageRootfsType,
  type TFirecrackerArch,
} from 'smartvm';

/** Written against the earlier class, word for word as its users write: if this stops compiling, their programs do. */
async function program(folder: string): Promise<IBaseImageBundle> {
  const arch: TFirecrackerArch = 'x86_64';
  const rootfsType: TBaseImageRootfsType = 'ext4';
  const kernel: IBaseImageArtifactManifest = { path: join(folder, 'vmlinux'), fileName: 'vmlinux' };
  const rootfs: IBaseImageArtifactManifest = { path: join(folder, 'rootfs.ext4') };
  const manifest: IBaseImageHostedManifest = {
    schemaVersion: 1,
    bundleId: 'smartvm-minimal-v1-x86_64',
    name: 'minimal',
    arch,
    firecrackerVersion: 'v1.15.1',
    rootfsType,
    kernel,
    rootfs,
  };
  await writeFile(join(folder, 'm.manifest.json'), JSON.stringify(manifest));

  const options: IBaseImageManagerOptions = { cacheDir: join(folder, 'cache'), maxStoredBaseImages: 2, arch };
  const manager = new BaseImageManager(options);
  const preset: TBaseImagePreset = 'hosted';
  const call: IEnsureBaseImageOptions = {
    preset,
    arch,
    forceDownload: false,
    manifestPath: join(folder, 'm.manifest.json'),
  };
  const bundle = await manager.ensureBaseImage(call);
  const removed: string[] = await manager.pruneBaseImageCache(bundle.bundleId);
  assert.deepEqual(removed, []);
  assert.equal(manager.getMaxStoredBaseImages(), 2);
  return bundle;
}

test('a program written for the earlier class compiles and runs unchanged', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'smartvm-seed-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  await writeFile(join(folder, 'vmlinux'), 'kernel');
  await writeFile(join(folder, 'rootfs.ext4'), 'rootfs');
  const bundle = await program(folder);
  assert.deepEqual(
    {
      preset: bundle.preset,
      ciVersion: bundle.ciVersion,
      bundleId: bundle.bundleId,
      bootArgs: bundle.bootArgs,
      rootfsIsReadOnly: bundle.rootfsIsReadOnly,
      sizes: bundle.sizes,
      type: bundle.source.type,
    },
    {
      preset: 'hosted',
      ciVersion: 'hosted',
      bundleId: 'smartvm-minimal-v1-x86_64',
      bootArgs: 'console=ttyS0 reboot=k panic=1 pci=off',
      rootfsIsReadOnly: false,
      sizes: { kernelBytes: 6, rootfsBytes: 6 },
      type: 'hosted-manifest',
    },
  );
  assert.equal(bundle.createdAt, bundle.lastAccessedAt);
  assert.match(bundle.checksums.kernelSha256, /^[0-9a-f]{64}$/);
  assert.throws(
    () => new BaseImageManager({ maxStoredBaseImages: 0 }),
    (error) => {
      return error instanceof SmartVMError && error instanceof Error && error.code === 'INVALID_BASE_IMAGE_CACHE_LIMIT';
    },
  );
});
