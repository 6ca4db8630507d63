import assert from 'node:assert/strict';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { BaseImageManager, type BaseImageManagerOptions, type EnsureBaseImageOptions } from 'smartvm';
import { rejection } from '../support/rejection.ts';
import { KERNEL, ROOTFS, bucketWorld, worldOf } from './contract.fixture.ts';

const SET = ['v1.15/x86_64/vmlinux-6.1.155', 'v1.15/x86_64/ubuntu-24.04.squashfs'];
const LTS = ['v1.7/x86_64/vmlinux-5.10.217', 'v1.7/x86_64/ubuntu-22.04.squashfs'];

async function manifestIn(folder: string, bundleId: string, arch = 'x86_64'): Promise<string> {
  await writeFile(join(folder, 'vmlinux'), KERNEL);
  await writeFile(join(folder, 'rootfs.squashfs'), ROOTFS);
  const path = join(folder, `${bundleId}.manifest.json`);
  const files = { kernel: { path: 'vmlinux' }, rootfs: { path: 'rootfs.squashfs' } };
  const facts = { schemaVersion: 1, bundleId, arch, firecrackerVersion: 'v1.15.1', rootfsType: 'squashfs' };
  await writeFile(path, JSON.stringify({ ...facts, ...files }));
  return path;
}

test('10: the arch of the call beats the arch of the manager', async (t) => {
  const { folder, images } = await worldOf(t, { arch: 'x86_64' });
  const manifestPath = await manifestIn(folder, 'arm', 'aarch64');
  assert.equal((await images.ensureBaseImage({ manifestPath, arch: 'aarch64' })).arch, 'aarch64');
  assert.equal((await rejection(images.ensureBaseImage({ manifestPath }))).code, 'INVALID_BASE_IMAGE_MANIFEST');
});

test('11 (in part superseded by W20): a manifest of the call replaces any manifest of the manager', async (t) => {
  const { folder, images } = await worldOf(t);
  const own = await manifestIn(folder, 'own');
  const manifestPath = await manifestIn(folder, 'of-the-call');
  const manager = new BaseImageManager({ cacheDir: images.getCacheDir(), hostedManifestPath: own });
  assert.equal((await manager.ensureBaseImage()).bundleId, 'own');
  assert.equal((await manager.ensureBaseImage({ manifestPath })).bundleId, 'of-the-call');
  assert.equal((await manager.ensureBaseImage({ manifestPath: '' })).bundleId, 'own');
});

test('12 (in part superseded by W20): a manifest makes the bundle hosted; a preset of the call is not ignored', async (t) => {
  const { bucket, folder, images } = await bucketWorld(t, SET);
  const hostedManifestPath = await manifestIn(folder, 'own');
  const { bucketUrl, releasesUrl } = bucket;
  const manager = new BaseImageManager({ cacheDir: images.getCacheDir(), bucketUrl, releasesUrl, hostedManifestPath });
  assert.equal((await manager.ensureBaseImage()).preset, 'hosted');
  assert.equal((await manager.ensureBaseImage({ preset: 'latest' })).preset, 'latest');
  const both = manager.ensureBaseImage({ preset: 'latest', manifestPath: hostedManifestPath });
  assert.equal((await rejection(both)).code, 'INVALID_BASE_IMAGE_OPTIONS');
});

test('13 (superseded by W20): of a path and an URL on one level the path is read, and only that is recorded', async (t) => {
  const { folder, images } = await worldOf(t);
  const manifestPath = await manifestIn(folder, 'by-path');
  const { source } = await images.ensureBaseImage({ manifestPath, manifestUrl: 'http://127.0.0.1:1/m.json' });
  assert.ok(source.type === 'hosted-manifest');
  assert.equal(source.manifestPath, manifestPath);
  assert.equal(source.manifestUrl, undefined);
});

test('14: hosted without any manifest is BASE_IMAGE_MANIFEST_FAILED', async (t) => {
  const { images } = await worldOf(t);
  assert.equal((await rejection(images.ensureBaseImage({ preset: 'hosted' }))).code, 'BASE_IMAGE_MANIFEST_FAILED');
});

test('15: no manifest and no preset is latest', async (t) => {
  const { images } = await bucketWorld(t, SET);
  const bundle = await images.ensureBaseImage();
  assert.equal(bundle.preset, 'latest');
  assert.equal(bundle.bundleId, 'latest-v1.15-x86_64-vmlinux-6.1.155-ubuntu-24.04.squashfs');
});

for (const preset of ['foo', 'LTS', 'latest ', 'ci']) {
  test(`16 (superseded by W24): the preset ${JSON.stringify(preset)} is refused with the known ones`, async (t) => {
    const { images } = await worldOf(t);
    const failure = await rejection(images.ensureBaseImage({ preset } as unknown as EnsureBaseImageOptions));
    assert.equal(failure.code, 'INVALID_BASE_IMAGE_OPTIONS');
    assert.match(failure.message, /latest, stable, lts, hosted, debian/);
  });
}

test('17 (superseded by W9): the source is asked on every call, and offline the cache answers alone', async (t) => {
  const { bucket, images } = await bucketWorld(t, [...SET, ...LTS]);
  await images.ensureBaseImage();
  const first = bucket.requests.length;
  await images.ensureBaseImage();
  const looked = bucket.requests.slice(first);
  assert.ok(looked.some((line) => line.startsWith('HEAD releases')) && looked.some((line) => line.startsWith('LIST ')));
  assert.ok(!looked.some((line) => line.startsWith('GET ')));
  const before = bucket.requests.length;
  assert.equal((await images.ensureBaseImage({ offline: true })).preset, 'latest');
  assert.equal(bucket.requests.length, before);
  await images.ensureBaseImage({ preset: 'lts' });
  assert.ok(!bucket.requests.slice(before).some((line) => line.startsWith('HEAD releases')), 'lts looks no release up');
});

const UNRESOLVED: readonly (readonly [title: string, options: BaseImageManagerOptions, code: string])[] = [
  ['a release that cannot be looked up', { releasesUrl: 'http://127.0.0.1:1/latest' }, 'VERSION_FETCH_FAILED'],
  ['a manifest that is not there', { hostedManifestPath: '/nowhere.json' }, 'BASE_IMAGE_MANIFEST_FAILED'],
];

for (const [title, options, code] of UNRESOLVED) {
  test(`18: ${title} keeps its own code, and the cache folder is not made`, async (t) => {
    const { images } = await worldOf(t, options);
    assert.equal((await rejection(images.ensureBaseImage())).code, code);
    await assert.rejects(stat(images.getCacheDir()), { code: 'ENOENT' });
  });
}

for (const [given, expected] of [
  ['quiet loglevel=1', 'quiet loglevel=1'],
  ['', 'console=ttyS0 reboot=k panic=1 pci=off ro rootfstype=squashfs'],
] as const) {
  test(`43 (in part superseded by W34): bootArgs ${JSON.stringify(given)} of a manifest give ${JSON.stringify(expected)}`, async (t) => {
    const { folder, images } = await worldOf(t);
    const manifestPath = await manifestIn(folder, 'args');
    const manifest = JSON.parse(await readFile(manifestPath, 'utf8')) as object;
    await writeFile(manifestPath, JSON.stringify({ ...manifest, bootArgs: given }));
    assert.equal((await images.ensureBaseImage({ manifestPath })).bootArgs, expected);
  });
}

test('44 (superseded by W34): a read-only ext4 root is mounted read-only', async (t) => {
  const { folder, images } = await worldOf(t);
  const manifestPath = await manifestIn(folder, 'read-only');
  const manifest = JSON.parse(await readFile(manifestPath, 'utf8')) as object;
  await writeFile(manifestPath, JSON.stringify({ ...manifest, rootfsType: 'ext4', rootfsIsReadOnly: true }));
  assert.equal((await images.ensureBaseImage({ manifestPath })).bootArgs, 'console=ttyS0 reboot=k panic=1 pci=off ro');
});
