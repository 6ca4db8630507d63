import assert from 'node:assert/strict';
import { chmod, mkdir, readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join } from 'node:path';
import test from 'node:test';
import { BaseImageManager, SmartVMError } from 'smartvm';
import { filesBelow } from '../support/files-below.ts';
import { rejection } from '../support/rejection.ts';
import { FACTS, KERNEL, ROOTFS, bucketWorld, digestOf, manifestWorld, startWeb, worldOf } from './contract.fixture.ts';

const SET = ['v1.15/x86_64/vmlinux-6.1.155', 'v1.15/x86_64/ubuntu-24.04.squashfs'];

test('67 (superseded by W2, W19): a name too long for a file system is refused before anything is made', async (t) => {
  const { ensure, folder, images } = await manifestWorld(t);
  assert.equal((await rejection(ensure({ bundleId: 'x'.repeat(300) }))).code, 'INVALID_BASE_IMAGE_MANIFEST');
  await assert.rejects(stat(images.getCacheDir()), { code: 'ENOENT' });
  await writeFile(images.getCacheDir(), 'a file where the cache should be');
  const failure = await rejection(ensure());
  assert.equal(failure.code, 'BASE_IMAGE_CACHE_UNSAFE', 'what stands in the way of the folder is told with a code');
  assert.equal(await readFile(join(folder, 'cache'), 'utf8'), 'a file where the cache should be');
});

test('68: kernel and root file system are both fetched, each once', async (t) => {
  const { bucket, images } = await bucketWorld(t, SET);
  await images.ensureBaseImage();
  const fetched = bucket.requests.filter((line) => line.startsWith('GET '));
  assert.deepEqual(fetched.toSorted(), SET.map((name) => `GET firecracker-ci/${name}`).toSorted());
});

test('69 (superseded by W2, W6, W18): a path is copied to a file of its own; the original stays as it is', async (t) => {
  const { ensure, folder } = await manifestWorld(t);
  const source = join(folder, 'vmlinux');
  await chmod(source, 0o600);
  const before = await stat(source);
  const bundle = await ensure();
  const [after, copy] = [await stat(source), await stat(bundle.kernelImagePath)];
  assert.deepEqual([after.ino, after.mode, after.nlink], [before.ino, before.mode, 1]);
  assert.notEqual(copy.ino, before.ino);
  await writeFile(source, 'changed afterwards');
  assert.deepEqual(await readFile(bundle.kernelImagePath), KERNEL);
});

test('70 (superseded by W8, W11, W15, W31): nothing half-fetched is ever under a final name', async (t) => {
  const web = await startWeb(t, { '/vmlinux': KERNEL, '/rootfs.ext4': ROOTFS });
  const kernel = { url: `${web.origin}/vmlinux`, sha256: digestOf(KERNEL) };
  const rootfs = { url: `${web.origin}/rootfs.ext4`, sha256: digestOf(ROOTFS) };
  web.files.set('/m.json', JSON.stringify({ ...FACTS, kernel, rootfs }));
  const { images } = await worldOf(t);
  const bundle = await images.ensureBaseImage({ manifestUrl: `${web.origin}/m.json` });
  assert.deepEqual((await readdir(bundle.bundleDir)).toSorted(), ['manifest.json', 'rootfs.ext4', 'vmlinux']);
});

test('71 (in part superseded by W16, W31): a failed fetch names its URL and the status', async (t) => {
  const { bucket, images } = await bucketWorld(t, SET);
  bucket.intercept = (request, response) => {
    if (!(request.url ?? '').endsWith('.squashfs')) return false;
    response.writeHead(403).end();
    return true;
  };
  const failure = await rejection(images.ensureBaseImage());
  assert.equal(failure.code, 'BASE_IMAGE_PREPARE_FAILED');
  assert.match(failure.message, /ubuntu-24\.04\.squashfs/);
  assert.match(failure.message, /403/);
});

test('72: the size is compared before the digest', async (t) => {
  const { ensure } = await manifestWorld(t);
  const wrong = { path: 'vmlinux', sha256: 'b'.repeat(64) };
  const bySize = await rejection(ensure({ kernel: { ...wrong, sizeBytes: 5 } }));
  assert.match(bySize.message, /\b5\b/);
  assert.doesNotMatch(bySize.message, /bbbb/);
  const byDigest = await rejection(ensure({ kernel: { ...wrong, sizeBytes: KERNEL.byteLength } }));
  assert.equal(byDigest.code, 'BASE_IMAGE_PREPARE_FAILED');
  assert.ok(byDigest.message.includes('b'.repeat(64)) && byDigest.message.includes(digestOf(KERNEL)), 'both values');
});

test('72 (last sentence superseded by W2): what does not match is never visible', async (t) => {
  const { ensure, images } = await manifestWorld(t);
  await rejection(ensure({ rootfs: { path: 'rootfs.ext4', sha256: 'b'.repeat(64) } }));
  assert.deepEqual(await images.listBaseImages(), []);
});

test('73 (superseded by W23): digests and sizes of the bundle are those of the stored files', async (t) => {
  const { ensure } = await manifestWorld(t);
  const bundle = await ensure();
  assert.deepEqual(bundle.checksums, { kernelSha256: digestOf(KERNEL), rootfsSha256: digestOf(ROOTFS) });
  assert.deepEqual(bundle.sizes, { kernelBytes: KERNEL.byteLength, rootfsBytes: ROOTFS.byteLength });
  assert.equal(digestOf(await readFile(bundle.kernelImagePath)), bundle.checksums.kernelSha256);
});

test('74: on creation createdAt and lastAccessedAt are now, in ISO 8601', async (t) => {
  const { ensure } = await manifestWorld(t);
  const before = Date.now();
  const { createdAt, lastAccessedAt } = await ensure();
  assert.equal(createdAt, lastAccessedAt);
  assert.equal(new Date(createdAt).toISOString(), createdAt);
  assert.ok(Date.parse(createdAt) >= before - 1 && Date.parse(createdAt) <= Date.now());
});

test('75 (in part superseded by W15, W25): the record is manifest.json in the folder of the bundle: JSON, two spaces, a newline', async (t) => {
  const { ensure } = await manifestWorld(t);
  const bundle = await ensure();
  const text = await readFile(join(bundle.bundleDir, 'manifest.json'), 'utf8');
  const record = JSON.parse(text) as unknown;
  assert.equal(text, `${JSON.stringify(record, undefined, 2)}\n`);
  assert.ok(text.includes(`"bundleId": "${bundle.bundleId}"`));
  assert.ok(!text.includes(dirname(bundle.bundleDir)), 'the record names its files without a folder');
});

test('76 (in part superseded by W3): a fetched bundle stays, others go when there are too many', async (t) => {
  const { ensure, images } = await manifestWorld(t, { maxStoredBaseImages: 1 });
  await ensure({ bundleId: 'first' });
  await ensure({ bundleId: 'second' });
  assert.deepEqual(
    (await images.listBaseImages()).map(({ bundleId }) => bundleId),
    ['second'],
  );
});

test('76: paths of a bundle are absolute', async (t) => {
  const { ensure } = await manifestWorld(t);
  const bundle = await ensure();
  for (const path of [bundle.bundleDir, bundle.kernelImagePath, bundle.rootfsPath]) assert.ok(isAbsolute(path));
  assert.equal(basename(bundle.kernelImagePath), 'vmlinux');
});

test('77 (in part superseded by W2, W27): a failed preparation is BASE_IMAGE_PREPARE_FAILED with id, message and cause, and leaves the cache as it was', async (t) => {
  const { ensure, images } = await manifestWorld(t);
  const good = await ensure({ bundleId: 'good' });
  const before = await filesBelow(images.getCacheDir());
  const failure = await rejection(ensure({ bundleId: 'bad', kernel: { path: 'vmlinux', sha256: 'b'.repeat(64) } }));
  assert.equal(failure.code, 'BASE_IMAGE_PREPARE_FAILED');
  assert.match(failure.message, /\bbad\b/);
  assert.ok(failure.cause instanceof SmartVMError && failure.message.includes(failure.cause.message));
  assert.equal(failure.cause.code, 'STORE_DIGEST_MISMATCH');
  const ofLocks = (path: string): boolean => !path.startsWith('v1/locks/');
  assert.deepEqual((await filesBelow(images.getCacheDir())).filter(ofLocks), before.filter(ofLocks));
  assert.equal((await stat(good.kernelImagePath)).size, KERNEL.byteLength);
});

test('77: a first call that fails leaves the cache root', async (t) => {
  const { folder } = await manifestWorld(t);
  const cacheDir = join(folder, 'own');
  await mkdir(cacheDir, { mode: 0o700 });
  const images = new BaseImageManager({ cacheDir, hostedManifestPath: join(folder, 'image.manifest.json') });
  const kernel = { path: 'vmlinux', sha256: 'b'.repeat(64) };
  const manifest = { ...FACTS, kernel, rootfs: { path: 'rootfs.ext4' } };
  await writeFile(join(folder, 'image.manifest.json'), JSON.stringify(manifest));
  await rejection(images.ensureBaseImage());
  assert.ok((await stat(cacheDir)).isDirectory());
});
