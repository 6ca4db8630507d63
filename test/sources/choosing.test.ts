import assert from 'node:assert/strict';
import { basename, join } from 'node:path';
import { chmod, mkdir, readdir, utimes, writeFile } from 'node:fs/promises';
import test, { type TestContext } from 'node:test';
import { BaseImageManager, type Arch, type BaseImageManagerOptions, type EnsureBaseImageOptions } from 'smartvm';
import { bucketWorld, digestOf, worldOf, type World } from '../contract/contract.fixture.ts';
import { createSource } from '../../src/sources/firecracker-ci.ts';
import { observedDigest } from '../../src/sources/firecracker-ci/observed-digests.ts';
import { startCiBucket } from '../support/ci-bucket.ts';
import type { FakeBucket } from '../support/fake-bucket.ts';
import { rejection } from '../support/rejection.ts';

const KERNELS = ['4.14.336', '5.10.245', '6.1.155', '6.18.44'];
const DATED = '20261008-40f3a4819490-0';

/** What each release supports, written down a second time: from Firecracker's kernel policy, not from our table. */
const EXPECTED: readonly (readonly [release: string, kernel: string])[] = [
  ['v1.5.1', '5.10.245'],
  ['v1.6.0', '5.10.245'],
  ['v1.7.0', '5.10.245'],
  ['v1.8.0', '5.10.245'],
  ['v1.9.1', '6.1.155'],
  ['v1.10.1', '6.1.155'],
  ['v1.11.0', '6.1.155'],
  ['v1.12.1', '6.1.155'],
  ['v1.13.2', '6.1.155'],
  ['v1.14.4', '6.1.155'],
  ['v1.15.1', '6.1.155'],
  ['v1.16.0', '6.1.155'],
  ['v1.16.2', '6.18.44'],
  ['v1.17.0', '6.18.44'],
  ['v1.18.0', '6.18.44'],
  ['v2.0.0', '6.18.44'],
];

for (const arch of ['x86_64', 'aarch64'] as const) {
  test(`${arch}: for every release, in both layouts, latest has the newest kernel that the release supports, and says why`, async (t) => {
    for (const layout of ['folder of the release', 'dated set']) {
      for (const [release, kernel] of EXPECTED) {
        const minor = release.split('.').slice(0, 2).join('.');
        const set = layout === 'dated set' ? DATED : minor;
        const names = [...KERNELS.map((version) => `vmlinux-${version}`), 'ubuntu-24.04.squashfs'];
        const { images } = await bucketWorld(
          t,
          names.map((name) => `${set}/${arch}/${name}`),
          release,
          { arch },
        );
        const resolution = await images.resolveBaseImage();
        const told = `${release}, ${layout}`;
        assert.equal(resolution.artifacts[0]?.fileName, `vmlinux-${kernel}`, told);
        assert.equal(resolution.firecrackerVersion, release, told);
        assert.equal(resolution.ciVersion, set, told);
        assert.match(resolution.why.join('\n'), new RegExp(`${kernel} is the newest on offer .*${release}`), told);
        const passed = KERNELS.slice(KERNELS.indexOf(kernel) + 1);
        for (const version of passed)
          assert.match(resolution.why.join('\n'), new RegExp(`${version} was passed over`), told);
      }
    }
  });
}

test('a release that is named is what the kernel has to suit, whatever is the newest', async (t) => {
  const { resolve } = await ciWorld(t);
  const resolution = await resolve({ firecrackerVersion: 'v1.15.1' });
  assert.equal(resolution.firecrackerVersion, 'v1.15.1');
  assert.equal(resolution.artifacts[0]?.fileName, 'vmlinux-6.1.188');
  assert.equal((await resolve({ firecrackerVersion: '1.15' })).firecrackerVersion, 'v1.15.0');
});

test('the Firecracker on PATH is what the kernel has to suit, unless a release is named', async (t) => {
  const { folder, resolve } = await ciWorld(t);
  const bin = join(folder, 'bin');
  await mkdir(bin);
  await writeFile(join(bin, 'firecracker'), '#!/bin/sh\necho "Firecracker v1.14.4"\n');
  await chmod(join(bin, 'firecracker'), 0o755);
  const { PATH } = process.env;
  t.after(() => (process.env['PATH'] = PATH));
  process.env['PATH'] = `${bin}:${PATH ?? ''}`;
  const resolution = await resolve();
  assert.equal(resolution.firecrackerVersion, 'v1.14.4');
  assert.equal(resolution.artifacts[0]?.fileName, 'vmlinux-6.1.188');
  assert.match(resolution.why.join('\n'), /v1\.14\.4: it is .*bin\/firecracker/);
  assert.equal((await resolve({ firecrackerVersion: 'v1.17.0' })).artifacts[0]?.fileName, 'vmlinux-6.18.51');
});

test('stable is the newest complete dated set with the newest kernel that every supported release supports; no release is looked up', async (t) => {
  const { bucket, resolve } = await ciWorld(t);
  const resolution = await resolve({ preset: 'stable' });
  assert.equal(resolution.ciVersion, DATED);
  assert.equal(resolution.artifacts[0]?.fileName, 'vmlinux-6.1.188');
  assert.match(resolution.bundleId, /^stable-/);
  assert.ok(!bucket.requests.some((line) => line.startsWith('HEAD')));
});

test('lts has the newest kernel that v1.7 supports unless one is named', async (t) => {
  const { resolve } = await ciWorld(t);
  assert.equal((await resolve({ preset: 'lts' })).artifacts[0]?.fileName, 'vmlinux-5.10.217');
  assert.equal((await resolve({ preset: 'lts', kernel: '6.1' })).artifacts[0]?.fileName, 'vmlinux-6.1.77');
});

for (const [kernel, chosen] of [
  ['6.1', 'vmlinux-6.1.188'],
  ['6.1.188', 'vmlinux-6.1.188'],
  ['5.10-no-acpi', 'vmlinux-5.10.999-no-acpi'],
] as const) {
  test(`the kernel ${kernel} of latest is ${chosen}`, async (t) => {
    const { resolve } = await ciWorld(t);
    assert.equal((await resolve({ kernel })).artifacts[0]?.fileName, chosen);
  });
}

test('a kernel that the newest set has not is looked for in older ones', async (t) => {
  const { resolve } = await ciWorld(t);
  const resolution = await resolve({ kernel: '5.10' });
  assert.equal(resolution.ciVersion, '20260923-6f82ac4cf331-0');
  assert.match(resolution.why.join('\n'), /20261008-40f3a4819490-0\/x86_64\/ holds no kernel \(5\.10, only/);
});

test('a kernel outside support is taken when it is named, with a warning', async (t) => {
  const { resolve, warnings } = await ciWorld(t);
  assert.equal(
    (await resolve({ kernel: '6.18', firecrackerVersion: 'v1.15.1' })).artifacts[0]?.fileName,
    'vmlinux-6.18.51',
  );
  assert.match(warnings.join('\n'), /6\.18\.51 is not supported as a guest of Firecracker v1\.15\.1.*from v1\.16\.1/);
});

test('another family of root file systems is taken by its name', async (t) => {
  const { resolve } = await ciWorld(t);
  for (const rootfs of ['amazonlinux', 'amazonlinux-2023', 'amazonlinux-2023.squashfs']) {
    assert.equal((await resolve({ rootfs })).artifacts[1]?.fileName, 'amazonlinux-2023.squashfs');
  }
  const failure = await rejection(resolve({ rootfs: 'alpine' }));
  assert.match(failure.message, /root file system alpine/);
});

test('what the kernel must have is read from its configuration; the newest kernel that has it is taken', async (t) => {
  const { resolve } = await ciWorld(t);
  assert.equal((await resolve({ require: ['overlayfs', 'nf_tables'] })).artifacts[0]?.fileName, 'vmlinux-6.18.51');
  const { artifacts, why } = await resolve({ require: ['iptables'] });
  assert.equal(artifacts[0]?.fileName, 'vmlinux-6.1.188');
  assert.match(why.join('\n'), /vmlinux-6\.18\.51 lacks iptables \(CONFIG_IP_NF_IPTABLES, CONFIG_IP_NF_FILTER\)/);
  const failure = await rejection(resolve({ require: ['wireguard'] }));
  assert.equal(failure.code, 'BASE_IMAGE_RESOLVE_FAILED');
  assert.match(failure.message, /vmlinux-6\.18\.51 lacks wireguard.*vmlinux-6\.1\.188 lacks wireguard/);
});

const WRONG: readonly (readonly [call: EnsureBaseImageOptions, said: RegExp])[] = [
  [{ kernel: 'newest' }, /kernel is "newest"/],
  [{ rootfs: '../x' }, /rootfs is "\.\.\/x"/],
  [{ require: ['overlayfs', 'overlay'] }, /require is "overlay"/],
  [{ firecrackerVersion: 'newest' }, /firecrackerVersion must be like v1\.15\.1, got "newest"/],
  [{ maxAgeMs: -1 }, /maxAgeMs must be a number of at least 0, got -1/],
  [{ forceDownload: true, preferOffline: true }, /forceDownload.*preferOffline/],
  [
    { minimumTrust: 'full' as 'pinned' },
    /minimumTrust must be one of first-use, published, signed, pinned, got "full"/,
  ],
  [{ preset: 'debian', kernel: '6.1' }, /kernel was given, and debian offers no such choice/],
  [{ reference: './m.json', require: ['vsock'] }, /require was given, and hosted-manifest offers/],
];
for (const [call, said] of WRONG) {
  test(`${JSON.stringify(call)} is refused by its option`, async (t) => {
    const { images } = await ciWorld(t);
    const failure = await rejection(images.ensureBaseImage(call));
    assert.equal(failure.code, 'INVALID_BASE_IMAGE_OPTIONS');
    assert.match(failure.message, said);
    assert.ok(failure.hint !== undefined);
  });
}

test('resolving downloads nothing and writes nothing', async (t) => {
  const { bucket, resolve, folder } = await ciWorld(t);
  await resolve();
  assert.ok(!bucket.requests.some((line) => line.startsWith('GET ')));
  await assert.rejects(chmod(join(folder, 'cache'), 0o700), { code: 'ENOENT' });
});

test('a plan says what would be fetched, from where, and what would go; afterwards nothing would be', async (t) => {
  const { bucket, images } = await ciWorld(t, { maxStoredBaseImages: 1 });
  const old = await images.ensureBaseImage({ reference: 'v1.15' });
  const plan = await images.planBaseImage();
  assert.equal(plan.isCached, false);
  assert.equal(plan.bytesToFetch, 2 * 4096);
  assert.deepEqual(plan.hosts, [new URL(bucket.bucketUrl).host]);
  assert.deepEqual(plan.wouldRemove, [old.bundleDir]);
  assert.equal((await images.listBaseImages()).length, 1);
  await images.ensureBaseImage();
  const after = await images.planBaseImage();
  assert.deepEqual([after.isCached, after.bytesToFetch, after.hosts, after.wouldRemove], [true, 0, [], []]);
});

test('a whole dated set that is here makes no connection; a day does', async (t) => {
  const { bucket, images } = await ciWorld(t);
  const first = await images.ensureBaseImage({ reference: DATED });
  const before = bucket.requests.length;
  assert.equal((await images.ensureBaseImage({ reference: DATED })).bundleDir, first.bundleDir);
  assert.equal(bucket.requests.length, before);
  await images.ensureBaseImage({ reference: '20261008' });
  assert.ok(bucket.requests.length > before);
});

test('preferOffline and maxAgeMs answer from memory, without a connection, as long as the answer is young enough', async (t) => {
  const { bucket, images } = await ciWorld(t);
  const first = await images.ensureBaseImage();
  const before = bucket.requests.length;
  assert.equal((await images.ensureBaseImage({ preferOffline: true })).bundleDir, first.bundleDir);
  assert.equal((await images.ensureBaseImage({ maxAgeMs: 60_000 })).bundleDir, first.bundleDir);
  assert.equal(bucket.requests.length, before);
  const remembered = join(images.getCacheDir(), 'v1', 'remembered');
  const hourAgo = new Date(Date.now() - 3_600_000);
  for (const name of await readdir(remembered)) await utimes(join(remembered, name), hourAgo, hourAgo);
  await images.ensureBaseImage({ maxAgeMs: 60_000 });
  assert.ok(bucket.requests.length > before, 'too old: asked');
  const asked = bucket.requests.length;
  await images.ensureBaseImage({ maxAgeMs: 60_000 });
  assert.equal(bucket.requests.length, asked, 'asking made the answer young again');
});

test('what was chosen is remembered by what was asked: another kernel is another answer', async (t) => {
  const { images } = await ciWorld(t, { maxStoredBaseImages: 9 });
  const plain = await images.ensureBaseImage();
  const other = await images.ensureBaseImage({ kernel: '6.1' });
  assert.notEqual(other.bundleDir, plain.bundleDir);
  const again = { preferOffline: true };
  assert.equal((await images.ensureBaseImage(again)).bundleDir, plain.bundleDir);
  assert.equal((await images.ensureBaseImage({ ...again, kernel: '6.1' })).bundleDir, other.bundleDir);
});

test('when nobody can be asked staleIfError answers from memory and says so; without it, or without memory, it is the error', async (t) => {
  const { bucket, images, warnings } = await ciWorld(t);
  const first = await images.ensureBaseImage();
  await bucket.close();
  const failure = await rejection(images.ensureBaseImage());
  assert.equal(failure.code, 'VERSION_FETCH_FAILED');
  warnings.length = 0;
  assert.equal((await images.ensureBaseImage({ staleIfError: true })).bundleDir, first.bundleDir);
  assert.match(warnings.join('\n'), /ECONNREFUSED.*Taking the answer of 0\.0 h ago/s);
  assert.equal(
    (await rejection(images.ensureBaseImage({ preset: 'lts', staleIfError: true }))).code,
    'BASE_IMAGE_RESOLVE_FAILED',
  );
});

test('a wrong answer is no outage: staleIfError does not hide it', async (t) => {
  const { bucket, images } = await ciWorld(t);
  await images.ensureBaseImage();
  bucket.release = 'nightly';
  assert.equal((await rejection(images.ensureBaseImage({ staleIfError: true }))).code, 'VERSION_FETCH_FAILED');
});

test('minimumTrust refuses what is trusted less before anything is fetched, and says how to get more', async (t) => {
  const { bucket, images } = await ciWorld(t);
  const failure = await rejection(images.ensureBaseImage({ minimumTrust: 'published' }));
  assert.equal(failure.code, 'BASE_IMAGE_BELOW_TRUST');
  assert.match(failure.message, /nobody publishes any.*"published"/);
  assert.match(failure.hint ?? '', /smartvm lock/);
  assert.ok(!bucket.requests.some((line) => line.startsWith('GET ')));
  assert.equal((await images.ensureBaseImage({ minimumTrust: 'first-use' })).trust, 'first-use');
  const resolving = images.resolveBaseImage({ minimumTrust: 'published' });
  assert.equal((await rejection(resolving)).code, 'BASE_IMAGE_BELOW_TRUST');
});

interface CiWorld extends World {
  readonly bucket: FakeBucket;
  readonly resolve: (call?: EnsureBaseImageOptions, arch?: Arch) => ReturnType<BaseImageManager['resolveBaseImage']>;
}

async function ciWorld(t: TestContext, options: BaseImageManagerOptions = {}): Promise<CiWorld> {
  const bucket = await startCiBucket();
  t.after(() => bucket.close());
  const { bucketUrl, releasesUrl } = bucket;
  const world = await worldOf(t, { bucketUrl, releasesUrl, arch: 'x86_64', ...options });
  assert.equal(basename(world.images.getCacheDir()), 'cache');
  return { ...world, bucket, resolve: (call) => world.images.resolveBaseImage(call) };
}

test('what third parties observed is held against the bytes: agreement is told, other bytes are refused', async (t) => {
  const { bucket, images } = await ciWorld(t);
  const key = `firecracker-ci/${DATED}/x86_64/vmlinux-6.18.51`;
  const true256 = digestOf(bucket.object(key).content);
  let seen = true256;
  const observed = (_bucketUrl: string, asked: string): string | undefined => (asked === key ? seen : undefined);
  const { bucketUrl, releasesUrl } = bucket;
  const source = createSource({ bucketUrl, releasesUrl, allowHttp: [] }, observed);
  const cacheDir = images.getCacheDir();
  const manager = new BaseImageManager({ cacheDir, arch: 'x86_64', sources: [source] });
  seen = 'b'.repeat(64);
  const failure = await rejection(manager.ensureBaseImage());
  assert.ok(failure.message.includes(true256) && failure.message.includes(seen), failure.message);
  seen = true256;
  const bundle = await manager.ensureBaseImage();
  assert.equal(bundle.trust, 'first-use', 'it is no signature');
  assert.match(
    bundle.observations?.join('\n') ?? '',
    new RegExp(`vmlinux-6\\.18\\.51: SHA-256 ${true256}, as third parties`),
  );
  assert.match(bundle.observations?.join('\n') ?? '', /ubuntu-24\.04\.squashfs: 4096 bytes, as the listing said/);
  assert.match(bundle.observations?.join('\n') ?? '', /vmlinux-6\.18\.51: the bytes are what the ETag says/);
  assert.deepEqual((await images.listBaseImages())[0]?.observations, bundle.observations);
});

test('bytes that are not what their ETag says are kept, and that is told', async (t) => {
  const { bucket, images } = await ciWorld(t);
  const key = `firecracker-ci/${DATED}/x86_64/ubuntu-24.04.squashfs`;
  bucket.put(key, bucket.object(key).content, { etag: `"${'0'.repeat(32)}"` });
  const { observations } = await images.ensureBaseImage();
  assert.match(observations?.join('\n') ?? '', /ubuntu-24\.04\.squashfs: the bytes are NOT what the ETag says/);
});

test('the table of observed digests is about Firecracker’s own bucket alone, and holds digests', () => {
  const own = 'https://s3.amazonaws.com/spec.ccfc.min';
  const key = 'firecracker-ci/20260923-6f82ac4cf331-0/x86_64/vmlinux-6.18.48';
  assert.match(observedDigest(own, key) ?? '', /^9204218e[0-9a-f]{56}$/);
  assert.equal(observedDigest('http://mirror/spec.ccfc.min', key), undefined);
  for (const other of ['', 'toString', 'firecracker-ci/__proto__/x86_64/a', key.replace('48', '49'), `${key}.config`]) {
    assert.equal(observedDigest(own, other), undefined);
  }
});

test('when nobody can be asked and nothing is remembered, staleIfError takes a set that this release knows, labelled as such', async (t) => {
  const { bucket, images, warnings } = await ciWorld(t);
  bucket.intercept = (request, response) => {
    if (request.method === 'GET' && request.url?.includes('list-type') !== true) return false;
    response.writeHead(503, { 'retry-after': '0' }).end();
    return true;
  };
  assert.equal((await rejection(images.ensureBaseImage())).code, 'VERSION_FETCH_FAILED');
  const bundle = await images.ensureBaseImage({ staleIfError: true });
  assert.equal(bundle.ciVersion, '20260923-6f82ac4cf331-0');
  assert.equal(bundle.firecrackerVersion, 'v1.17.0');
  assert.equal(basename(bundle.kernelImagePath), 'vmlinux-6.18.48');
  assert.match(
    warnings.join('\n'),
    /Taking what this release knows: nobody could be asked; 20260923-6f82ac4cf331-0 was whole on 2026-11-01/,
  );
  const stable = await images.ensureBaseImage({ preset: 'stable', staleIfError: true });
  assert.equal(basename(stable.kernelImagePath), 'vmlinux-6.1.186');
  for (const call of [{ reference: 'v1.15' }, { require: ['overlayfs'] }] as const) {
    assert.equal(
      (await rejection(images.ensureBaseImage({ ...call, staleIfError: true }))).code.endsWith('FAILED'),
      true,
    );
  }
});
