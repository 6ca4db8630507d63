import assert from 'node:assert/strict';
import { mkdir, readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import {
  BaseImageManager,
  findLockFile,
  type BaseImageManagerOptions,
  type ImageSource,
  type ResolvedImage,
} from 'smartvm';
import { lockSchemaPath, lockSchemaText } from '../../scripts/schemas.ts';
import { KERNEL, ROOTFS, digestOf, manifestWorld, startWeb, worldOf, FACTS } from '../contract/contract.fixture.ts';
import { startCiBucket } from '../support/ci-bucket.ts';
import type { FakeBucket } from '../support/fake-bucket.ts';
import { imageOf } from '../support/images.ts';
import { rejection } from '../support/rejection.ts';

const KEY = 'firecracker-ci/20261008-40f3a4819490-0/x86_64/vmlinux-6.18.51';

interface LockWorld {
  readonly bucket: FakeBucket;
  readonly folder: string;
  readonly lockFile: string;
  /** A manager with a cache of its own over the same lock file. */
  readonly manager: (name?: string, options?: BaseImageManagerOptions) => BaseImageManager;
}

async function lockWorld(t: TestContext): Promise<LockWorld> {
  const bucket = await startCiBucket();
  t.after(() => bucket.close());
  const { bucketUrl, releasesUrl } = bucket;
  const { folder } = await worldOf(t);
  const lockFile = join(folder, 'smartvm.lock');
  const common = { bucketUrl, releasesUrl, arch: 'x86_64', lockFile } as const;
  const manager = (name = 'one', options: BaseImageManagerOptions = {}): BaseImageManager =>
    new BaseImageManager({ ...common, cacheDir: join(folder, name), ...options });
  return { bucket, folder, lockFile, manager };
}

test('a lock file holds every file by address, size, digest, ETag and date, and how far it was trusted', async (t) => {
  const { bucket, lockFile, manager } = await lockWorld(t);
  const report = await manager().lockBaseImages([{ preset: 'latest' }]);
  assert.deepEqual(
    { isWritten: report.isWritten, changes: report.changes },
    { isWritten: true, changes: [{ reference: 'latest', arch: 'x86_64', change: 'added' }] },
  );
  const lock = JSON.parse(await readFile(lockFile, 'utf8')) as {
    images: Record<string, Record<string, { trust: string; artifacts: Record<string, unknown> }>>;
  };
  const { content, etag } = bucket.object(KEY);
  const locked = lock.images['latest']?.['x86_64'];
  assert.equal(locked?.trust, 'first-use');
  assert.deepEqual(locked.artifacts['kernel'], {
    fileName: 'vmlinux-6.18.51',
    url: `${bucket.bucketUrl}/${KEY}`,
    bytes: content.byteLength,
    sha256: digestOf(content),
    etag,
    modifiedAt: '2026-10-08T12:00:00.000Z',
  });
});

test('a lock file is sorted and ends in a newline, whatever order it was asked in', async (t) => {
  const { lockFile, manager } = await lockWorld(t);
  await manager().lockBaseImages([{ reference: 'v1.15' }, { preset: 'latest' }]);
  const one = await readFile(lockFile, 'utf8');
  await manager('two').lockBaseImages([{ preset: 'latest' }, { reference: 'v1.15' }], { update: true });
  assert.equal(await readFile(lockFile, 'utf8'), one);
  assert.ok(one.endsWith('}\n'));
  assert.ok(one.indexOf('"latest"') < one.indexOf('"v1.15"'));
});

test('what is locked comes from the cache by its digests without any connection, and is pinned', async (t) => {
  const { bucket, manager } = await lockWorld(t);
  const images = manager();
  await images.lockBaseImages([{ preset: 'latest' }]);
  const before = bucket.requests.length;
  const bundle = await images.ensureBaseImage({ minimumTrust: 'pinned' });
  assert.equal(bundle.trust, 'pinned');
  assert.equal(bucket.requests.length, before);
  assert.equal((await images.listBaseImages()).length, 1, 'it is the bundle that was locked, not another');
});

test('on another machine what is locked is fetched from its address alone: nothing is looked up', async (t) => {
  const { bucket, manager } = await lockWorld(t);
  await manager().lockBaseImages([{ preset: 'latest' }]);
  bucket.release = 'v1.99.0';
  const before = bucket.requests.length;
  const bundle = await manager('two').ensureBaseImage();
  assert.equal(bundle.firecrackerVersion, 'v1.17.0');
  assert.deepEqual(
    bucket.requests.slice(before).filter((line) => !line.startsWith('GET ')),
    [],
  );
  assert.equal((await manager('two').listBaseImages()).length, 1);
});

test('content that changed under a locked address is refused with both digests', async (t) => {
  const { bucket, manager, folder } = await lockWorld(t);
  await manager().lockBaseImages([{ preset: 'latest' }]);
  const { content } = bucket.object(KEY);
  const other = Buffer.from(content);
  other[4000] = 1;
  bucket.put(KEY, other);
  const failure = await rejection(manager('two').ensureBaseImage());
  assert.equal(failure.code, 'BASE_IMAGE_LOCK_MISMATCH');
  assert.ok(failure.message.includes(digestOf(content)) && failure.message.includes(digestOf(other)), failure.message);
  assert.match(failure.hint ?? '', /smartvm lock --update "latest"/);
  assert.deepEqual(await manager('two').listBaseImages(), []);
  assert.ok((await readdir(folder)).includes('smartvm.lock'));
});

test('an update shows what changed: files, options of the kernel, packages; without it what is there stays', async (t) => {
  const { bucket, lockFile, manager } = await lockWorld(t);
  const images = manager();
  bucket.release = 'v1.15.1';
  await images.lockBaseImages([{ preset: 'latest' }]);
  const old = await readFile(lockFile, 'utf8');
  bucket.release = 'v1.17.0';
  const kept = await images.lockBaseImages([{ preset: 'latest' }]);
  assert.deepEqual([kept.isWritten, kept.changes[0]?.change], [false, 'unchanged']);
  const planned = await images.lockBaseImages([], { update: true, dryRun: true });
  assert.deepEqual([planned.isWritten, planned.changes[0]?.change], [false, 'updated']);
  assert.equal(await readFile(lockFile, 'utf8'), old);
  const { changes, isWritten } = await images.lockBaseImages([], { update: true });
  assert.equal(isWritten, true);
  const difference = changes[0]?.difference;
  assert.deepEqual(
    difference?.artifacts.map(({ role, from, to }) => [role, from?.fileName, to?.fileName]),
    [
      ['kernel', 'vmlinux-6.1.155', 'vmlinux-6.18.51'],
      ['rootfs', 'ubuntu-24.04.squashfs', 'ubuntu-24.04.squashfs'],
    ],
  );
  assert.deepEqual(Object.keys(difference.kernelOptions?.lost ?? {}), ['IP_NF_FILTER', 'IP_NF_IPTABLES']);
  assert.deepEqual(difference.packages?.changed, {
    'libc6:amd64': { from: '2.39-0ubuntu8.3', to: '2.39-0ubuntu8.6' },
  });
});

test('frozen takes only what the file has, and says what that is and how to add to it', async (t) => {
  const { bucket, manager } = await lockWorld(t);
  const images = manager('one', { frozen: true });
  await images.lockBaseImages([{ preset: 'latest' }]);
  assert.equal((await images.ensureBaseImage()).trust, 'pinned');
  const before = bucket.requests.length;
  for (const call of [{ preset: 'lts' }, { kernel: '6.1' }, { arch: 'aarch64' }] as const) {
    const failure = await rejection(images.ensureBaseImage(call));
    assert.equal(failure.code, 'BASE_IMAGE_LOCK_MISMATCH');
    assert.match(failure.message, /which has latest \(x86_64\)/);
    assert.match(failure.hint ?? '', /smartvm lock/);
  }
  assert.equal(bucket.requests.length, before);
  const without = new BaseImageManager({ cacheDir: images.getCacheDir(), frozen: true });
  assert.match((await rejection(without.ensureBaseImage())).message, /there is none/);
});

test('without frozen, what the file does not have is found as ever, and the file is left alone', async (t) => {
  const { lockFile, manager } = await lockWorld(t);
  const images = manager('one', { maxStoredBaseImages: 9 });
  await images.lockBaseImages([{ preset: 'latest' }]);
  const before = await readFile(lockFile, 'utf8');
  assert.equal((await images.ensureBaseImage({ preset: 'lts' })).trust, 'first-use');
  assert.equal(await readFile(lockFile, 'utf8'), before);
});

test('choices are part of what is locked', async (t) => {
  const { manager } = await lockWorld(t);
  const images = manager('one', { frozen: true });
  const call = {
    preset: 'latest',
    kernel: '6.1',
    require: ['nf_tables', 'overlayfs'],
    firecrackerVersion: '1.16',
  } as const;
  const { changes } = await images.lockBaseImages([call]);
  assert.equal(changes[0]?.reference, 'latest kernel=6.1 require=nf_tables,overlayfs firecracker=v1.16.0');
  assert.match((await images.ensureBaseImage(call)).bundleId, /vmlinux-6\.1\.188/);
  const again = await images.lockBaseImages([], { update: true });
  assert.deepEqual(
    again.changes.map(({ change }) => change),
    ['unchanged'],
  );
});

test('bundles of the lock file are not evicted and do not count', async (t) => {
  const { manager } = await lockWorld(t);
  const images = manager('one', { maxStoredBaseImages: 1 });
  await images.lockBaseImages([{ preset: 'latest' }, { reference: 'v1.14' }]);
  await images.ensureBaseImage({ preset: 'lts' });
  await images.ensureBaseImage({ reference: 'v1.10' });
  const ids = (await images.listBaseImages()).map(({ ciVersion }) => ciVersion).sort();
  assert.deepEqual(ids, ['20261008-40f3a4819490-0', 'v1.10', 'v1.14']);
  const { kept } = await images.pruneBaseImages({ keep: 0, dryRun: true });
  assert.deepEqual(
    kept.map(({ reason }) => reason),
    ['in the lock file', 'in the lock file'],
  );
});

test('a mirror may serve what was locked elsewhere: the digests decide', async (t) => {
  const { manager } = await lockWorld(t);
  await manager().lockBaseImages([{ preset: 'latest' }]);
  const mirror = await startCiBucket();
  t.after(() => mirror.close());
  const { bucketUrl } = mirror;
  const bundle = await manager('two', { bucketUrl }).ensureBaseImage();
  assert.equal(bundle.trust, 'pinned');
  assert.ok(mirror.requests.includes(`GET ${KEY}`));
});

test('hosted manifests are locked by their files: from a URL they are fetched without the manifest', async (t) => {
  const web = await startWeb(t, { '/vmlinux': KERNEL, '/rootfs.ext4': ROOTFS });
  const at = (name: string, content: Buffer): object => ({ url: `${web.origin}/${name}`, sha256: digestOf(content) });
  web.files.set(
    '/m.json',
    JSON.stringify({ ...FACTS, kernel: at('vmlinux', KERNEL), rootfs: at('rootfs.ext4', ROOTFS) }),
  );
  const { manager } = await lockWorld(t);
  const call = { manifestUrl: `${web.origin}/m.json` };
  await manager().lockBaseImages([call]);
  web.files.delete('/m.json');
  assert.equal((await manager('two').ensureBaseImage(call)).trust, 'pinned');
});

test('a manifest on disk is locked by its path from the lock file; files that changed are refused', async (t) => {
  const { lockFile, manager } = await lockWorld(t);
  const local = await manifestWorld(t);
  await local.write();
  const images = manager('one', { lockFile: join(local.folder, 'smartvm.lock') });
  const { changes } = await images.lockBaseImages([{ manifestPath: local.manifestPath }]);
  assert.equal(changes[0]?.reference, './image.manifest.json');
  const text = await readFile(join(local.folder, 'smartvm.lock'), 'utf8');
  assert.ok(!text.includes(local.folder), 'no path of this machine');
  await writeFile(join(local.folder, 'vmlinux'), Buffer.concat([KERNEL.subarray(1), Buffer.from('x')]));
  const two = manager('two', { lockFile: join(local.folder, 'smartvm.lock') });
  const failure = await rejection(two.ensureBaseImage({ manifestPath: local.manifestPath }));
  assert.equal(failure.code, 'BASE_IMAGE_LOCK_MISMATCH');
  assert.ok(failure.message.includes(digestOf(KERNEL)));
  await assert.rejects(stat(lockFile), { code: 'ENOENT' });
});

test('a source of one’s own is resolved again and held against the lock file', async (t) => {
  const { manager } = await lockWorld(t);
  let image: ResolvedImage = imageOf({ kernel: { content: 'kernel 1', sha256: false, bytes: false } });
  const source: ImageSource = { scheme: 'test', asksEveryTime: true, resolve: () => Promise.resolve(image) };
  const call = { reference: 'test:image' };
  await manager('one', { sources: [source] }).lockBaseImages([call]);
  const planned = await manager('two', { sources: [source] }).resolveBaseImage(call);
  assert.deepEqual([planned.artifacts[0]?.bytes, planned.artifacts[0]?.sha256], [8, digestOf('kernel 1')]);
  assert.equal((await manager('two', { sources: [source] }).ensureBaseImage(call)).trust, 'pinned');
  image = imageOf({ kernel: { content: 'kernel 2', sha256: false } });
  const failure = await rejection(manager('three', { sources: [source] }).ensureBaseImage(call));
  assert.equal(failure.code, 'BASE_IMAGE_LOCK_MISMATCH');
  assert.ok(failure.message.includes(digestOf('kernel 1')) && failure.message.includes(digestOf('kernel 2')));
  image = imageOf({ kernel: { content: 'kernel 1', fileName: 'other' } });
  const renamed = await rejection(manager('four', { sources: [source] }).ensureBaseImage(call));
  assert.match(renamed.message, /kernel: locked vmlinux, now other/);
});

test('offline, what is locked and here is the answer; what is not here is not cached', async (t) => {
  const { bucket, manager } = await lockWorld(t);
  await manager().lockBaseImages([{ preset: 'latest' }]);
  await bucket.close();
  assert.equal((await manager('one', { offline: true }).ensureBaseImage()).trust, 'pinned');
  const elsewhere = manager('two', { offline: true });
  assert.equal((await rejection(elsewhere.ensureBaseImage())).code, 'BASE_IMAGE_NOT_CACHED');
});

test('resolving and planning heed the lock file: nobody is asked, and what is here is not fetched', async (t) => {
  const { bucket, manager, lockFile } = await lockWorld(t);
  await manager().lockBaseImages([{ preset: 'latest' }]);
  const before = bucket.requests.length;
  const resolution = await manager('two').resolveBaseImage();
  assert.deepEqual([resolution.trust, resolution.why], ['pinned', [`${lockFile} names it`]]);
  assert.ok(resolution.artifacts.every(({ sha256 }) => sha256 !== undefined));
  assert.deepEqual((await manager('two').planBaseImage()).isCached, false);
  assert.deepEqual((await manager('one').planBaseImage()).isCached, true);
  assert.equal(bucket.requests.length, before);
  assert.equal(
    (await rejection(manager('two', { frozen: true }).resolveBaseImage({ preset: 'lts' }))).code,
    'BASE_IMAGE_LOCK_MISMATCH',
  );
});

const BROKEN: readonly (readonly [what: string, text: string, said: RegExp])[] = [
  ['from the future', '{"lockVersion": 2, "images": {}}', /lockVersion is 2, and this smartvm reads up to 1/],
  ['with conflicts', '{\n<<<<<<< ours\n"a": 1\n=======\n"a": 2\n>>>>>>> theirs\n}', /merge that is not finished/],
  ['cut', '{"lockVersion": 1, "images"', /no JSON/],
  ['of nothing', '', /no JSON/],
  ['null', 'null', /no lock file/],
  ['without versions', '{"images": {}}', /lockVersion/],
  ['with a wrong digest', lockWith({ sha256: 'abc' }), /images\.latest\.x86_64\.artifacts\.kernel\.sha256/],
  [
    'with an address that is none',
    lockWith({ url: 'not an address' }),
    /images\.latest\.x86_64\.artifacts\.kernel\.url/,
  ],
  ['with an address of a file', lockWith({ url: 'file:///etc/passwd' }), /artifacts\.kernel\.url must be/],
  ['with a name that leads out', lockWith({ fileName: '../x' }), /images\.latest\.x86_64\.artifacts\.kernel\.fileName/],
];

for (const [what, text, said] of BROKEN) {
  test(`a lock file ${what} is refused with its path and the way on, and is left alone`, async (t) => {
    const { lockFile, manager } = await lockWorld(t);
    await writeFile(lockFile, text);
    const images = manager();
    for (const call of [() => images.ensureBaseImage(), () => images.lockBaseImages([{ preset: 'lts' }])]) {
      const failure = await rejection(call());
      assert.equal(failure.code, 'BASE_IMAGE_LOCK_MISMATCH');
      assert.match(failure.message, said);
      assert.ok(failure.message.includes(lockFile) && failure.hint !== undefined);
    }
    assert.equal(await readFile(lockFile, 'utf8'), text);
  });
}

test('an address that is oddly escaped is asked for as it is, and no raw error comes', async (t) => {
  const { lockFile, manager } = await lockWorld(t);
  await writeFile(
    lockFile,
    lockWith({ url: 'https://host/%zz/firecracker-ci/%E0%A4%A/x' }).replaceAll('"g"', '"g","url":"https://h/r"'),
  );
  const failure = await rejection(manager().ensureBaseImage());
  assert.equal(failure.code, 'BASE_IMAGE_PREPARE_FAILED');
  assert.match(failure.message, /404/);
});

test('a lock that fails half-way writes nothing', async (t) => {
  const { lockFile, manager } = await lockWorld(t);
  const failure = await rejection(manager().lockBaseImages([{ preset: 'latest' }, { reference: 'v9.9' }]));
  assert.equal(failure.code, 'BASE_IMAGE_RESOLVE_FAILED');
  await assert.rejects(stat(lockFile), { code: 'ENOENT' });
});

test('what is trusted less than is wanted is not locked', async (t) => {
  const { lockFile, manager } = await lockWorld(t);
  const failure = await rejection(manager().lockBaseImages([{ preset: 'latest', minimumTrust: 'published' }]));
  assert.equal(failure.code, 'BASE_IMAGE_BELOW_TRUST');
  await assert.rejects(stat(lockFile), { code: 'ENOENT' });
});

test('the lock file is looked for here and above', async (t) => {
  const { folder } = await worldOf(t);
  await mkdir(join(folder, 'a', 'b'), { recursive: true });
  assert.equal(await findLockFile(join(folder, 'a', 'b')), undefined);
  await writeFile(join(folder, 'smartvm.lock'), '');
  await mkdir(join(folder, 'a', 'smartvm.lock'));
  assert.equal(await findLockFile(join(folder, 'a', 'b')), join(folder, 'smartvm.lock'));
});

test('the published JSON Schema is the one that lock files are read with', async () => {
  assert.equal(await readFile(lockSchemaPath, 'utf8'), lockSchemaText(), 'run: npx tsx scripts/write-schema.ts');
});

function lockWith(kernel: object): string {
  const file = { fileName: 'f', bytes: 1, sha256: 'a'.repeat(64) };
  const facts = { preset: 'latest', bundleId: 'x', ciVersion: 'v1.15', firecrackerVersion: 'v1.15.0' };
  const rest = {
    rootfsType: 'ext4',
    rootfsIsReadOnly: false,
    bootArgs: '',
    source: { type: 'custom' },
    trust: 'first-use',
  };
  const image = {
    ...facts,
    ...rest,
    artifacts: { kernel: { ...file, ...kernel }, rootfs: { ...file, fileName: 'g' } },
  };
  return JSON.stringify({ lockVersion: 1, images: { latest: { x86_64: image } } });
}
