import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { BaseImageManager, type BaseImageManagerOptions } from 'smartvm';
import { startFakeBucket, type FakeBucket } from '../support/fake-bucket.ts';

/** A kernel by its first bytes, so that nothing takes it for a page of a web site. */
export const KERNEL = Buffer.concat([Buffer.from('\u007fELF', 'latin1'), Buffer.alloc(60, 1)]);
export const ROOTFS = Buffer.concat([Buffer.from('hsqs', 'latin1'), Buffer.alloc(92, 2)]);

/** A manager with a cache of its own, and the warnings it gave. */
export interface World {
  readonly images: BaseImageManager;
  readonly folder: string;
  readonly warnings: string[];
}

/** A folder that goes with the test, and a manager whose cache lies in it. */
export async function worldOf(t: TestContext, options: BaseImageManagerOptions = {}): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), 'smartvm-contract-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const warnings: string[] = [];
  const logger = { warn: (text: string) => void warnings.push(text), info: () => undefined };
  return { folder, warnings, images: new BaseImageManager({ cacheDir: join(folder, 'cache'), logger, ...options }) };
}

/** The same with a bucket that holds just these names under `firecracker-ci/`, and a newest release. */
export async function bucketWorld(
  t: TestContext,
  names: readonly string[],
  release = 'v1.15.1',
  options: BaseImageManagerOptions = {},
): Promise<World & { readonly bucket: FakeBucket }> {
  const bucket = await startFakeBucket();
  t.after(() => bucket.close());
  bucket.release = release;
  for (const name of names) {
    const content = /vmlinux|bzImage/.test(name) ? KERNEL : ROOTFS;
    bucket.put(`firecracker-ci/${name}`, Buffer.concat([content, Buffer.from(name)]));
  }
  const { bucketUrl, releasesUrl } = bucket;
  return { bucket, ...(await worldOf(t, { bucketUrl, releasesUrl, ...options })) };
}
