import assert from 'node:assert/strict';
import test from 'node:test';
import { bootArgsFor, type Arch, type RootfsType } from 'smartvm';
import { rejection } from '../support/rejection.ts';
import { bucketWorld } from './contract.fixture.ts';

const ROOT = 'v1.15/x86_64/ubuntu-24.04.squashfs';
const KERNEL = 'v1.15/x86_64/vmlinux-6.1.155';

test('19 (superseded by W0, W31, W32): latest asks where the releases page leads, without curl', async (t) => {
  const { bucket, images } = await bucketWorld(t, [KERNEL, ROOT]);
  assert.equal((await images.ensureBaseImage()).firecrackerVersion, 'v1.15.1');
  assert.ok(bucket.requests[0]?.startsWith('HEAD releases'));
});

for (const release of ['v1.15.1-rc1', 'v1.15', 'nightly', 'v1.15.1/extra']) {
  test(`20: a releases page that leads to ${release} names no release`, async (t) => {
    const { images } = await bucketWorld(t, [KERNEL, ROOT], release);
    assert.equal((await rejection(images.ensureBaseImage())).code, 'VERSION_FETCH_FAILED');
  });
}

test('21 (in part superseded by W31): a failed look-up is VERSION_FETCH_FAILED with its cause and a way out', async (t) => {
  const { bucket, images } = await bucketWorld(t, [KERNEL, ROOT]);
  bucket.intercept = (_request, response) => {
    response.writeHead(404).end();
    return true;
  };
  const failure = await rejection(images.ensureBaseImage());
  assert.equal(failure.code, 'VERSION_FETCH_FAILED');
  assert.match(failure.message, /404/);
  assert.ok(failure.cause instanceof Error && failure.hint !== undefined);
});

test('22 (superseded by W0 where the folder is empty): latest is the tag, its folder the first two parts of it', async (t) => {
  const { images } = await bucketWorld(t, [KERNEL, ROOT]);
  const bundle = await images.ensureBaseImage();
  assert.equal(bundle.firecrackerVersion, 'v1.15.1');
  assert.equal(bundle.ciVersion, 'v1.15');
});

test('23 (superseded by W35: it warns): lts is v1.7 for v1.7.0, and no release is looked up', async (t) => {
  const names = ['v1.7/x86_64/vmlinux-5.10.217', 'v1.7/x86_64/ubuntu-22.04.squashfs'];
  const { bucket, images, warnings } = await bucketWorld(t, names);
  const bundle = await images.ensureBaseImage({ preset: 'lts' });
  assert.deepEqual([bundle.preset, bundle.ciVersion, bundle.firecrackerVersion], ['lts', 'v1.7', 'v1.7.0']);
  assert.ok(!bucket.requests.some((line) => line.startsWith('HEAD')));
  assert.match(warnings.join('\n'), /2024-09-18/);
});

test('24 (in part superseded by W0, W37): the folder of version and arch is listed', async (t) => {
  const { bucket, images } = await bucketWorld(t, [KERNEL, ROOT]);
  await images.ensureBaseImage();
  assert.ok(bucket.requests.includes('LIST firecracker-ci/v1.15/x86_64/'));
});

test('25 (superseded by W36): entities in keys are decoded once', async (t) => {
  const { images } = await bucketWorld(t, [KERNEL, ROOT, 'v1.15/x86_64/ubuntu-24.04&amp;lt;.squashfs.txt']);
  assert.equal((await images.ensureBaseImage()).ciVersion, 'v1.15');
});

test('26 (in part superseded by W0, W16, W27): nothing in the bucket is BASE_IMAGE_RESOLVE_FAILED, naming version and arch', async (t) => {
  const { images } = await bucketWorld(t, []);
  const failure = await rejection(images.ensureBaseImage());
  assert.equal(failure.code, 'BASE_IMAGE_RESOLVE_FAILED');
  assert.match(failure.message, /x86_64/);
});

test('27 (superseded by W16): the HTTP status of the listing is looked at and told', async (t) => {
  const { bucket, images } = await bucketWorld(t, [KERNEL, ROOT]);
  bucket.intercept = (request, response) => {
    if (!(request.url ?? '').includes('list-type')) return false;
    response.writeHead(403).end();
    return true;
  };
  const failure = await rejection(images.ensureBaseImage());
  assert.equal(failure.code, 'BASE_IMAGE_RESOLVE_FAILED');
  assert.match(failure.message, /403/);
});

test('28 (superseded by W17): a listing is read to its last page', async (t) => {
  const { bucket, images } = await bucketWorld(t, [KERNEL, ROOT, 'v1.15/x86_64/vmlinux-5.10.245']);
  bucket.pageSize = 1;
  assert.match((await images.ensureBaseImage()).kernelImagePath, /vmlinux-6\.1\.155$/);
});

const NO_KERNELS = [
  'vmlinux-6.1.156-no-acpi',
  'vmlinux-6.1.157.config',
  'debug/vmlinux-6.1.158',
  'vmlinux-6.1',
  'bzImage-6.1.159',
  'xvmlinux-6.1.160',
];

test('29: flavours, configurations, debug kernels and other formats are no kernel candidates', async (t) => {
  const { images } = await bucketWorld(t, [KERNEL, ROOT, ...NO_KERNELS.map((name) => `v1.15/x86_64/${name}`)]);
  assert.match((await images.ensureBaseImage()).kernelImagePath, /vmlinux-6\.1\.155$/);
});

const KERNEL_CHOICES: readonly (readonly [given: readonly string[], chosen: string])[] = [
  [['5.10.217', '5.10.9'], '5.10.217'],
  [['6.1.155', '5.10.245'], '6.1.155'],
  [['6.1.9', '6.1.10'], '6.1.10'],
];

for (const [given, chosen] of KERNEL_CHOICES) {
  test(`30: of ${given.join(' and ')} the kernel ${chosen} is chosen, by number`, async (t) => {
    const { images } = await bucketWorld(t, [ROOT, ...given.map((version) => `v1.15/x86_64/vmlinux-${version}`)]);
    assert.ok((await images.ensureBaseImage()).kernelImagePath.endsWith(`vmlinux-${chosen}`));
  });
}

test('30 (in part superseded by W0): a kernel that the release does not support is passed over', async (t) => {
  const { images } = await bucketWorld(t, [KERNEL, ROOT, 'v1.15/x86_64/vmlinux-6.18.51']);
  assert.match((await images.ensureBaseImage()).kernelImagePath, /vmlinux-6\.1\.155$/);
});

test('31: a set without a kernel is BASE_IMAGE_RESOLVE_FAILED', async (t) => {
  const { images } = await bucketWorld(t, [ROOT]);
  assert.equal((await rejection(images.ensureBaseImage({ reference: 'v1.15' }))).code, 'BASE_IMAGE_RESOLVE_FAILED');
});

const ROOT_CHOICES: readonly (readonly [given: readonly string[], chosen: string])[] = [
  [['ubuntu-24.04.squashfs', 'ubuntu-22.04.squashfs', 'ubuntu-9.04.squashfs'], 'ubuntu-24.04.squashfs'],
  [['ubuntu-22.04.squashfs', 'ubuntu-24.04.ext4'], 'ubuntu-22.04.squashfs'],
  [['ubuntu-22.04.ext4', 'ubuntu-18.04.ext4'], 'ubuntu-22.04.ext4'],
];

for (const [given, chosen] of ROOT_CHOICES) {
  test(`32: of ${given.join(' and ')} the root ${chosen} is chosen`, async (t) => {
    const { images } = await bucketWorld(t, [KERNEL, ...given.map((name) => `v1.15/x86_64/${name}`)]);
    assert.ok((await images.ensureBaseImage()).rootfsPath.endsWith(`/${chosen}`));
  });
}

test('33: a root file system of another family is never chosen', async (t) => {
  const { images } = await bucketWorld(t, [KERNEL, 'v1.15/x86_64/amazonlinux-2023.squashfs']);
  assert.equal((await rejection(images.ensureBaseImage({ reference: 'v1.15' }))).code, 'BASE_IMAGE_RESOLVE_FAILED');
});

test('34: a set without a root file system is BASE_IMAGE_RESOLVE_FAILED', async (t) => {
  const { images } = await bucketWorld(t, [KERNEL]);
  assert.equal((await rejection(images.ensureBaseImage({ reference: 'v1.15' }))).code, 'BASE_IMAGE_RESOLVE_FAILED');
});

for (const [name, type, readOnly] of [
  ['ubuntu-24.04.squashfs', 'squashfs', true],
  ['ubuntu-22.04.ext4', 'ext4', false],
] as const) {
  test(`35: ${name} is ${type}, ${readOnly ? 'read-only' : 'writable'}`, async (t) => {
    const { images } = await bucketWorld(t, [KERNEL, `v1.15/x86_64/${name}`]);
    const bundle = await images.ensureBaseImage();
    assert.deepEqual([bundle.rootfsType, bundle.rootfsIsReadOnly], [type, readOnly]);
  });
}

test('36 (identity superseded by W5, W29): the id is preset, version, arch, kernel and root, joined by dashes', async (t) => {
  const { images } = await bucketWorld(t, [KERNEL, ROOT]);
  assert.equal((await images.ensureBaseImage()).bundleId, 'latest-v1.15-x86_64-vmlinux-6.1.155-ubuntu-24.04.squashfs');
});

test('37 (superseded by W37): an artifact is fetched from the bucket by its key', async (t) => {
  const { bucket, images } = await bucketWorld(t, [KERNEL, ROOT]);
  await images.ensureBaseImage();
  assert.deepEqual(bucket.requests.filter((line) => line.startsWith('GET ')).sort(), [
    `GET firecracker-ci/${ROOT}`,
    `GET firecracker-ci/${KERNEL}`,
  ]);
});

test('38 (superseded by W13): no digest is published, so the trust is first-use and the listed size is demanded', async (t) => {
  const { bucket, images } = await bucketWorld(t, [KERNEL, ROOT]);
  assert.equal((await images.ensureBaseImage()).trust, 'first-use');
  bucket.put(`firecracker-ci/${KERNEL}`, 'another kernel', { listedBytes: 9999 });
  assert.equal((await rejection(images.ensureBaseImage())).code, 'BASE_IMAGE_PREPARE_FAILED');
});

test('39 (with the prefix of W0): the source names bucket and both keys', async (t) => {
  const { bucket, images } = await bucketWorld(t, [KERNEL, ROOT]);
  assert.deepEqual((await images.ensureBaseImage()).source, {
    type: 'firecracker-ci',
    bucketUrl: bucket.bucketUrl,
    prefix: 'firecracker-ci/v1.15/x86_64/',
    kernelKey: `firecracker-ci/${KERNEL}`,
    rootfsKey: `firecracker-ci/${ROOT}`,
  });
});

const BOOT_ARGS: readonly (readonly [number: string, arch: Arch, type: RootfsType, args: string])[] = [
  ['40', 'x86_64', 'ext4', 'console=ttyS0 reboot=k panic=1 pci=off'],
  ['41', 'aarch64', 'ext4', 'keep_bootcon console=ttyS0 reboot=k panic=1 pci=off'],
  ['42', 'x86_64', 'squashfs', 'console=ttyS0 reboot=k panic=1 pci=off ro rootfstype=squashfs'],
  ['42', 'aarch64', 'squashfs', 'keep_bootcon console=ttyS0 reboot=k panic=1 pci=off ro rootfstype=squashfs'],
];

for (const [number, arch, type, args] of BOOT_ARGS) {
  test(`${number}: ${arch} with ${type} boots with "${args}"`, async (t) => {
    assert.equal(bootArgsFor(arch, type, type === 'squashfs'), args);
    const names = [`v1.15/${arch}/vmlinux-6.1.155`, `v1.15/${arch}/ubuntu-24.04.${type}`];
    const { images } = await bucketWorld(t, names);
    assert.equal((await images.ensureBaseImage({ arch })).bootArgs, args);
  });
}
