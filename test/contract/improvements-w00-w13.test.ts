import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, readFile, readdir, rename, stat, symlink, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { BaseImageManager, type Bundle } from 'smartvm';
import { filesBelow } from '../support/files-below.ts';
import { rejection } from '../support/rejection.ts';
import {
  FACTS,
  KERNEL,
  ROOTFS,
  bucketWorld,
  digestOf,
  manifestWorld,
  startWeb,
  worldOf,
  type Web,
} from './contract.fixture.ts';

const run = promisify(execFile);
const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

/** The bucket as it was in June 2026: no folder for the newest release, weekly sets, the newest of them half uploaded. */
const JUNE_2026 = [
  'v1.15/x86_64/vmlinux-6.1.155',
  'v1.15/x86_64/ubuntu-24.04.squashfs',
  '20260610-aaaaaaaaaaaa-0/x86_64/vmlinux-6.1.170',
  '20260610-aaaaaaaaaaaa-0/x86_64/vmlinux-6.1.171-no-acpi',
  '20260610-aaaaaaaaaaaa-0/x86_64/ubuntu-24.04.squashfs',
  '20260610-aaaaaaaaaaaa-0/x86_64/vmlinux-6.18.40',
  '20260617-bbbbbbbbbbbb-0/x86_64/vmlinux-6.1.172',
  '20260617-bbbbbbbbbbbb-0/aarch64/vmlinux-6.1.172',
];

test('W0: latest resolves although the newest release has no folder: to the newest set that is complete', async (t) => {
  const { images } = await bucketWorld(t, JUNE_2026, 'v1.16.0');
  const bundle = await images.ensureBaseImage();
  assert.equal(bundle.ciVersion, '20260610-aaaaaaaaaaaa-0');
  assert.equal(bundle.firecrackerVersion, 'v1.16.0');
});

test('W0: the exact folder of the set is recorded', async (t) => {
  const { images } = await bucketWorld(t, JUNE_2026, 'v1.16.0');
  const { source } = await images.ensureBaseImage();
  assert.ok(source.type === 'firecracker-ci');
  assert.equal(source.prefix, 'firecracker-ci/20260610-aaaaaaaaaaaa-0/x86_64/');
});

test('W0: of the kernels of a set only those are chosen that the Firecracker release supports', async (t) => {
  const { images } = await bucketWorld(t, JUNE_2026, 'v1.16.0');
  assert.equal(basename((await images.ensureBaseImage()).kernelImagePath), 'vmlinux-6.1.170');
});

test('W0: a set may be named, whole or by its day', async (t) => {
  const { images } = await bucketWorld(t, JUNE_2026, 'v1.16.0');
  for (const reference of ['20260610-aaaaaaaaaaaa-0', '20260610']) {
    assert.equal((await images.ensureBaseImage({ reference })).ciVersion, '20260610-aaaaaaaaaaaa-0');
  }
});

test('W0: when nothing is complete the error says what was looked at and what was missing', async (t) => {
  const { images } = await bucketWorld(t, ['20260617-bbbbbbbbbbbb-0/x86_64/vmlinux-6.1.172'], 'v1.16.0');
  const { message, hint } = await rejection(images.ensureBaseImage());
  assert.match(message, /20260617-bbbbbbbbbbbb-0/);
  assert.match(message, /no root file system/);
  assert.ok(hint !== undefined);
});

for (const bundleId of ['..', '.', '.hidden', 'x'.repeat(200)]) {
  test(`W1: the bundleId ${JSON.stringify(bundleId.slice(0, 20))} is refused, and nothing around the cache is touched`, async (t) => {
    const { ensure, folder } = await manifestWorld(t);
    await writeFile(join(folder, 'dear'), 'dear');
    const wrong = { path: 'vmlinux', sha256: 'b'.repeat(64) };
    for (const kernel of [{ path: 'vmlinux' }, wrong]) {
      assert.equal((await rejection(ensure({ bundleId, kernel }))).code, 'INVALID_BASE_IMAGE_MANIFEST');
    }
    assert.deepEqual(await filesBelow(folder), ['dear', 'image.manifest.json', 'rootfs.ext4', 'vmlinux']);
  });
}

test('W2: a failed refetch leaves the good bundle as it was', async (t) => {
  const web = await hostedWeb(t);
  const { images } = await worldOf(t);
  const manifestUrl = `${web.origin}/m.json`;
  const good = await images.ensureBaseImage({ manifestUrl });
  web.files.set('/rootfs.ext4', 'other bytes');
  const failure = await rejection(images.ensureBaseImage({ manifestUrl, forceDownload: true }));
  assert.equal(failure.code, 'BASE_IMAGE_PREPARE_FAILED');
  assert.deepEqual(await readFile(good.kernelImagePath), KERNEL);
  assert.deepEqual(await readFile(good.rootfsPath), ROOTFS);
  assert.equal((await images.ensureBaseImage({ manifestUrl })).createdAt, good.createdAt);
});

test('W3: when pruning fails the fresh bundle stays, the call succeeds, and it is told', async (t) => {
  const { ensure, images, warnings } = await manifestWorld(t, { maxStoredBaseImages: 1 });
  const old = await ensure({ bundleId: 'old' });
  const lock = join(images.getCacheDir(), 'v1', 'locks', `${basename(old.bundleDir)}.lock`);
  const holder = spawn('flock', [lock, 'sh', '-c', 'echo held; read line'], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(holder.stdout, 'data');
  try {
    const fresh = await ensure({ bundleId: 'fresh' });
    assert.deepEqual(await readFile(fresh.kernelImagePath), KERNEL);
    assert.match(warnings.join('\n'), /was not removed/);
  } finally {
    holder.stdin.end('\n');
    await once(holder, 'exit');
  }
});

test('W4: derived names that meet get their role in front; kernel and root keep their own bytes', async (t) => {
  const web = await startWeb(t, { '/k/image': KERNEL, '/r/image': ROOTFS });
  const manifest = {
    ...FACTS,
    kernel: { url: `${web.origin}/k/image`, sha256: digestOf(KERNEL) },
    rootfs: { url: `${web.origin}/r/image`, sha256: digestOf(ROOTFS) },
  };
  web.files.set('/m.json', JSON.stringify(manifest));
  const { images } = await worldOf(t);
  const bundle = await images.ensureBaseImage({ manifestUrl: `${web.origin}/m.json` });
  assert.equal(basename(bundle.kernelImagePath), 'kernel-image');
  assert.equal(basename(bundle.rootfsPath), 'rootfs-image');
  assert.deepEqual(await readFile(bundle.kernelImagePath), KERNEL);
  assert.deepEqual(await readFile(bundle.rootfsPath), ROOTFS);
  assert.equal((await images.verifyBaseImages()).ok, true);
});

test('W4: a file that would be called manifest.json gets its role in front', async (t) => {
  const { ensure, folder } = await manifestWorld(t);
  await mkdir(join(folder, 'sub'));
  await writeFile(join(folder, 'sub', 'Manifest.json'), KERNEL);
  const bundle = await ensure({ kernel: { path: 'sub/Manifest.json' } });
  assert.equal(basename(bundle.kernelImagePath), 'kernel-Manifest.json');
  assert.deepEqual(await readFile(bundle.kernelImagePath), KERNEL);
});

test('W5: a publisher who mends an image under its old id is heard: other digests are other bytes', async (t) => {
  const web = await hostedWeb(t);
  const { images } = await worldOf(t);
  const manifestUrl = `${web.origin}/m.json`;
  const old = await images.ensureBaseImage({ manifestUrl });
  const mended = Buffer.concat([KERNEL, Buffer.from('mended')]);
  publish(web, mended);
  const fresh = await images.ensureBaseImage({ manifestUrl });
  assert.equal(fresh.bundleId, old.bundleId);
  assert.deepEqual(await readFile(fresh.kernelImagePath), mended);
});

test('W6: the default cache is the user’s own, and nobody else can look into it', async (t) => {
  const { ensure, images } = await manifestWorld(t);
  await ensure();
  assert.equal((await stat(images.getCacheDir())).mode & 0o777, 0o700);
  const unset = { SMARTVM_CACHE_DIR: undefined, XDG_CACHE_HOME: undefined };
  const kept = { ...process.env };
  Object.assign(process.env, unset);
  for (const name of Object.keys(unset)) Reflect.deleteProperty(process.env, name);
  const dir = new BaseImageManager().getCacheDir();
  Object.assign(process.env, kept);
  assert.ok(dir.startsWith(homedir()) && !dir.startsWith(tmpdir()), dir);
});

test('W6: a cache root that others can write, or that is a link, is refused and left alone', async (t) => {
  const { folder, manifestPath, write } = await manifestWorld(t);
  await write();
  const open = join(folder, 'open');
  await mkdir(open);
  await chmod(open, 0o777);
  await symlink(open, join(folder, 'link'));
  for (const cacheDir of [open, join(folder, 'link')]) {
    const failure = await rejection(new BaseImageManager({ cacheDir }).ensureBaseImage({ manifestPath }));
    assert.equal(failure.code, 'BASE_IMAGE_CACHE_UNSAFE');
    assert.ok(failure.message.includes(cacheDir));
  }
  assert.deepEqual(await readdir(open), []);
});

test('W6: a record that somebody planted certifies nothing: its bytes are not handed out', async (t) => {
  const { ensure, folder } = await manifestWorld(t);
  const kernel = { path: 'vmlinux', sha256: digestOf(KERNEL) };
  const bundle = await ensure({ kernel });
  const evil = Buffer.from('evil bytes');
  const record = join(bundle.bundleDir, 'manifest.json');
  const text = await readFile(record, 'utf8');
  await chmod(record, 0o644);
  await chmod(bundle.kernelImagePath, 0o644);
  const forged = text
    .replaceAll(digestOf(KERNEL), digestOf(evil))
    .replaceAll(`"bytes": ${KERNEL.byteLength}`, `"bytes": ${evil.byteLength}`);
  await writeFile(record, forged);
  await writeFile(join(folder, 'evil'), evil);
  await rename(join(folder, 'evil'), bundle.kernelImagePath);
  const again = await ensure({ kernel });
  assert.deepEqual(await readFile(again.kernelImagePath), KERNEL);
});

test('W7: foreign folders in the cache directory survive any pruning, and a dry run removes nothing', async (t) => {
  const { ensure, images } = await manifestWorld(t);
  const foreign = join(images.getCacheDir(), 'web-app');
  await mkdir(foreign, { recursive: true, mode: 0o700 });
  await chmod(images.getCacheDir(), 0o700);
  await writeFile(join(foreign, 'manifest.json'), JSON.stringify({ bundleId: 'x', lastAccessedAt: '2000-01-01' }));
  for (const bundleId of ['a', 'b', 'c']) await ensure({ bundleId });
  const { removed } = await images.pruneBaseImages({ keep: 0, dryRun: true });
  assert.equal(removed.length, 2);
  assert.equal((await images.listBaseImages()).length, 2);
  await images.pruneBaseImages({ keep: 0 });
  assert.deepEqual(await readdir(foreign), ['manifest.json']);
});

test('W8: three calls at once all succeed and fetch once', async (t) => {
  const web = await hostedWeb(t);
  const { images } = await worldOf(t);
  const manifestUrl = `${web.origin}/m.json`;
  const all = await Promise.all([0, 1, 2].map(() => images.ensureBaseImage({ manifestUrl })));
  assert.equal(new Set(all.map(({ createdAt }) => createdAt)).size, 1);
  assert.equal(web.requests.filter((path) => path === '/vmlinux').length, 1);
  assert.equal(web.requests.filter((path) => path === '/rootfs.ext4').length, 1);
});

test('W8: three processes at once all succeed and fetch once', async (t) => {
  const web = await hostedWeb(t);
  web.delayMs = 1500;
  const { images } = await worldOf(t);
  const args = [
    '--import',
    'tsx',
    MAIN,
    'ensure',
    `${web.origin}/m.json`,
    '--json',
    '--cache-dir',
    images.getCacheDir(),
  ];
  const all = await Promise.all([0, 1, 2].map(() => run(process.execPath, args)));
  const bundles = all.map(({ stdout }) => JSON.parse(stdout) as Bundle);
  assert.equal(new Set(bundles.map(({ createdAt }) => createdAt)).size, 1);
  assert.equal(web.requests.filter((path) => path === '/rootfs.ext4').length, 1);
  assert.equal((await images.verifyBaseImages()).ok, true);
});

test('W9: what was resolved once is there without any network; what was not is said', async (t) => {
  const { bucket, images } = await bucketWorld(t, JUNE_2026, 'v1.16.0');
  const online = await images.ensureBaseImage();
  await bucket.close();
  const offline = new BaseImageManager({ cacheDir: images.getCacheDir(), offline: true });
  assert.equal((await offline.ensureBaseImage()).kernelImagePath, online.kernelImagePath);
  assert.equal((await rejection(offline.ensureBaseImage({ preset: 'lts' }))).code, 'BASE_IMAGE_NOT_CACHED');
});

test('W10: a manifest from the network names no local file', async (t) => {
  const { folder, images } = await worldOf(t);
  await writeFile(join(folder, 'secret'), 'secret');
  const path = join(folder, 'secret');
  const web = await startWeb(t, {});
  web.files.set('/m.json', JSON.stringify({ ...FACTS, kernel: { path }, rootfs: { path } }));
  const failure = await rejection(images.ensureBaseImage({ manifestUrl: `${web.origin}/m.json` }));
  assert.equal(failure.code, 'INVALID_BASE_IMAGE_MANIFEST');
  assert.match(failure.message, /kernel\.path/);
});

test('W10: a path is relative to its manifest, does not lead out of its folder, and is a regular file', async (t) => {
  const { ensure, folder } = await manifestWorld(t);
  await run('mkfifo', [join(folder, 'fifo')]);
  for (const path of ['../etc/hostname', 'fifo', '/dev/zero', '.']) {
    const failure = await rejection(ensure({ kernel: { path } }));
    assert.equal(failure.code, 'INVALID_BASE_IMAGE_MANIFEST');
    assert.match(failure.message, /kernel\.path/);
  }
  assert.equal((await ensure()).source.type, 'hosted-manifest', 'from whatever folder the process works in');
});

for (const url of [
  'file:///etc/hostname',
  'ftp://host/x',
  '-K/etc/passwd',
  'http://host/x',
  'https://user:word@host/x',
]) {
  test(`W11: ${url} is refused before anything is asked`, async (t) => {
    const { ensure } = await manifestWorld(t);
    const failure = await rejection(ensure({ kernel: { url, sha256: digestOf(KERNEL) } }));
    assert.equal(failure.code, 'INVALID_BASE_IMAGE_MANIFEST');
    assert.match(failure.message, /kernel\.url/);
  });
}

test('W11: brackets and braces in an address are characters like others', async (t) => {
  const web = await startWeb(t, { '/k[1-3]{a,b}': KERNEL, '/rootfs.ext4': ROOTFS });
  const kernel = { url: `${web.origin}/k[1-3]{a,b}`, sha256: digestOf(KERNEL) };
  const rootfs = { url: `${web.origin}/rootfs.ext4`, sha256: digestOf(ROOTFS) };
  web.files.set('/m.json', JSON.stringify({ ...FACTS, kernel, rootfs }));
  const { images } = await worldOf(t);
  await images.ensureBaseImage({ manifestUrl: `${web.origin}/m.json` });
  assert.deepEqual(
    web.requests.filter((path) => path.startsWith('/k')),
    ['/k[1-3]{a,b}'],
  );
});

test('W12: a hit leaves the folder of the bundle and its record as they are', async (t) => {
  const { ensure } = await manifestWorld(t);
  const { bundleDir } = await ensure();
  const facts = async (): Promise<unknown> => {
    const record = await stat(join(bundleDir, 'manifest.json'));
    const folder = await stat(bundleDir);
    return [record.ino, record.mtimeMs, record.ctimeMs, folder.mtimeMs];
  };
  const before = await facts();
  await ensure();
  assert.deepEqual(await facts(), before);
});

test('W13: what nobody published a digest for is first-use, and says so; a digest in a fetched manifest is published', async (t) => {
  const { images } = await bucketWorld(t, JUNE_2026, 'v1.16.0');
  assert.equal((await images.ensureBaseImage()).trust, 'first-use');
  const local = await manifestWorld(t);
  assert.equal((await local.ensure()).trust, 'first-use');
});

test('W13: an object that is not what the listing said is refused', async (t) => {
  const { bucket, images } = await bucketWorld(t, JUNE_2026, 'v1.16.0');
  const key = 'firecracker-ci/20260610-aaaaaaaaaaaa-0/x86_64/ubuntu-24.04.squashfs';
  let version = 0;
  bucket.intercept = (request) => {
    const isWanted = request.url?.endsWith('.squashfs') === true;
    // Once it would be looked up again, and be what the listing says then.
    if (isWanted) bucket.put(key, Buffer.concat([ROOTFS, Buffer.from(`newer ${(version += 1)}`)]));
    return false;
  };
  const failure = await rejection(images.ensureBaseImage());
  assert.equal(failure.code, 'BASE_IMAGE_PREPARE_FAILED');
  assert.deepEqual(await images.listBaseImages(), []);
});

/** A server with a manifest and its files. */
async function hostedWeb(t: Parameters<typeof startWeb>[0]): Promise<Web> {
  const web = await startWeb(t, { '/rootfs.ext4': ROOTFS });
  publish(web, KERNEL);
  return web;
}

function publish(web: Web, kernel: Buffer): void {
  web.files.set('/vmlinux', kernel);
  const manifest = {
    ...FACTS,
    kernel: { url: `${web.origin}/vmlinux`, sha256: digestOf(kernel) },
    rootfs: { url: `${web.origin}/rootfs.ext4`, sha256: digestOf(ROOTFS) },
  };
  web.files.set('/m.json', JSON.stringify(manifest));
}
