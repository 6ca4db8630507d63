import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmod, readFile, rename, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { BaseImageManager, type Bundle } from 'smartvm';
import { afterMounts, mounts, readOnly } from '../support/abilities.ts';
import { rejection } from '../support/rejection.ts';
import { KERNEL, ROOTFS, bucketWorld, digestOf, manifestWorld, type Fields } from './contract.fixture.ts';

const SET = ['v1.15/x86_64/vmlinux-6.1.155', 'v1.15/x86_64/ubuntu-24.04.squashfs'];

test('78: a bundle that is there and sound is handed out again, and nothing is fetched', async (t) => {
  const { bucket, images } = await bucketWorld(t, SET);
  const first = await images.ensureBaseImage();
  const fetched = (): number => bucket.requests.filter((line) => line.startsWith('GET ')).length;
  const before = fetched();
  const second = await images.ensureBaseImage();
  assert.equal(second.bundleDir, first.bundleDir);
  assert.equal(fetched(), before);
});

const DAMAGE: readonly (readonly [what: string, damage: (bundle: Bundle) => Promise<void>])[] = [
  ['a record that is no JSON', (bundle) => overwrite(join(bundle.bundleDir, 'manifest.json'), '{')],
  ['a record that is gone', (bundle) => rm(join(bundle.bundleDir, 'manifest.json'))],
  ['a kernel that is gone', (bundle) => rm(bundle.kernelImagePath)],
  ['a root file system that is gone', (bundle) => rm(bundle.rootfsPath)],
  ['a kernel that is shorter', (bundle) => shorten(bundle.kernelImagePath)],
  ['a root file system of the same size with other bytes', (bundle) => tamper(bundle.rootfsPath)],
];

for (const [what, damage] of DAMAGE) {
  test(`78, 82: a bundle with ${what} is no hit: it is fetched again, with a new createdAt`, async (t) => {
    const { ensure } = await manifestWorld(t);
    const first = await ensure();
    await sleep(2);
    await damage(first);
    const second = await ensure();
    assert.notEqual(second.createdAt, first.createdAt);
    assert.equal(digestOf(await readFile(second.kernelImagePath)), digestOf(KERNEL));
    assert.equal(digestOf(await readFile(second.rootfsPath)), digestOf(ROOTFS));
  });
}

test('78 (in part superseded by W23): bytes that changed without a change of size or times are found by verifying', async (t) => {
  const { ensure, images } = await manifestWorld(t);
  const bundle = await ensure();
  assert.equal((await images.verifyBaseImages()).ok, true);
  await tamper(bundle.kernelImagePath);
  const report = await images.verifyBaseImages();
  assert.equal(report.ok, false);
  assert.match(report.bundles[0]?.problems.join() ?? '', /SHA-256/);
});

test('78 (in part superseded by W25): a cache that moved is a hit where it is now', async (t) => {
  const { ensure, images, folder, manifestPath } = await manifestWorld(t);
  const first = await ensure();
  const cacheDir = join(folder, 'moved');
  await rename(images.getCacheDir(), cacheDir);
  const second = await new BaseImageManager({ cacheDir }).ensureBaseImage({ manifestPath });
  assert.equal(second.createdAt, first.createdAt);
  assert.ok(second.kernelImagePath.startsWith(cacheDir));
});

test('79 (superseded by W27): a damaged bundle is told and kept aside, it is not silently another download', async (t) => {
  const { ensure, warnings } = await manifestWorld(t);
  const bundle = await ensure();
  await shorten(bundle.kernelImagePath);
  await ensure();
  assert.match(warnings.join('\n'), /damaged.*bytes instead of/s);
});

test('80: a hit keeps createdAt and has a newer lastAccessedAt', async (t) => {
  const { ensure } = await manifestWorld(t);
  const first = await ensure();
  await sleep(20);
  await ensure();
  await sleep(20);
  const third = await ensure();
  assert.equal(third.createdAt, first.createdAt);
  assert.ok(third.lastAccessedAt > first.lastAccessedAt);
});

test('80 (in part superseded by W12): a hit prunes nothing and does not rewrite the record', async (t) => {
  const { ensure, folder, manifestPath } = await manifestWorld(t);
  const bundle = await ensure();
  await ensure({ bundleId: 'other' });
  const record = join(bundle.bundleDir, 'manifest.json');
  const before = await stat(record);
  await ensure({});
  const one = new BaseImageManager({ cacheDir: join(folder, 'cache'), maxStoredBaseImages: 1 });
  await one.ensureBaseImage({ manifestPath });
  const after = await stat(record);
  assert.deepEqual([after.ino, after.mtimeMs], [before.ino, before.mtimeMs]);
  assert.equal((await one.listBaseImages()).length, 2);
});

const CHANGES: readonly (readonly [
  what: string,
  fields: Fields,
  told: (bundle: Bundle) => unknown,
  expected: unknown,
])[] = [
  ['bootArgs', { bootArgs: 'quiet' }, ({ bootArgs }) => bootArgs, 'quiet'],
  ['firecrackerVersion', { firecrackerVersion: 'v1.16.0' }, ({ firecrackerVersion }) => firecrackerVersion, 'v1.16.0'],
  ['rootfsIsReadOnly', { rootfsIsReadOnly: true }, ({ rootfsIsReadOnly }) => rootfsIsReadOnly, true],
  ['rootfsType', { rootfsType: 'squashfs' }, ({ rootfsType }) => rootfsType, 'squashfs'],
];

for (const [what, fields, told, expected] of CHANGES) {
  test(`81 (superseded by W5): a changed ${what} under the same id is what the bundle says`, async (t) => {
    const { ensure } = await manifestWorld(t);
    await ensure();
    assert.equal(told(await ensure(fields)), expected);
  });
}

test('81 (superseded by W5): other bytes under the same id are the bytes of the bundle, and a wrong digest is refused', async (t) => {
  const { ensure, folder } = await manifestWorld(t);
  await ensure();
  const other = Buffer.concat([KERNEL, Buffer.from('mended')]);
  await writeFile(join(folder, 'vmlinux'), other);
  assert.deepEqual(await readFile((await ensure()).kernelImagePath), other);
  const failure = await rejection(ensure({ kernel: { path: 'vmlinux', sha256: digestOf(KERNEL) } }));
  assert.equal(failure.code, 'BASE_IMAGE_PREPARE_FAILED');
});

test('81 (superseded by W5): another arch under the same id is another bundle', async (t) => {
  const { ensure } = await manifestWorld(t);
  const one = await ensure();
  const other = await ensure({ arch: 'aarch64' }, { arch: 'aarch64' });
  assert.equal(other.arch, 'aarch64');
  assert.notEqual(other.bundleDir, one.bundleDir);
});

test('83 (in part superseded by W2): forceDownload fetches again into the same place', async (t) => {
  const { ensure } = await manifestWorld(t);
  const first = await ensure();
  await sleep(2);
  const second = await ensure({}, { forceDownload: true });
  assert.equal(second.bundleDir, first.bundleDir);
  assert.notEqual(second.createdAt, first.createdAt);
});

test('84 (superseded by W12): a hit on a cache that cannot be written is a hit', mounts, async (t) => {
  const { ensure, images, manifestPath } = await manifestWorld(t);
  const bundle = await ensure();
  const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
  const cacheDir = images.getCacheDir();
  const ensureAgain = [
    process.execPath,
    '--import',
    'tsx',
    main,
    'ensure',
    manifestPath,
    '--json',
    '--cache-dir',
    cacheDir,
  ];
  const [command, ...args] = afterMounts(`${readOnly(cacheDir)}; ! touch ${cacheDir}/x 2>&-`, ensureAgain);
  const { stdout } = await promisify(execFile)(command, args);
  assert.equal((JSON.parse(stdout) as Bundle).createdAt, bundle.createdAt);
});

async function overwrite(path: string, text: string): Promise<void> {
  await chmod(path, 0o644);
  await writeFile(path, text);
}

async function shorten(path: string): Promise<void> {
  await chmod(path, 0o644);
  await truncate(path, 10);
}

/** Other bytes, the same size, and the time of change as it was. */
async function tamper(path: string): Promise<void> {
  const { mtime, size } = await stat(path);
  await chmod(path, 0o644);
  await writeFile(path, Buffer.alloc(size, 7));
  await utimes(path, mtime, mtime);
}
