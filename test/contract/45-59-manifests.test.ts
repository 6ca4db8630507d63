import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { rejection } from '../support/rejection.ts';
import { FACTS, KERNEL, ROOTFS, digestOf, manifestWorld, startWeb, worldOf, type Fields } from './contract.fixture.ts';

const SHA = 'a'.repeat(64);
const SET = { kernel: { url: 'vmlinux' }, rootfs: { url: 'rootfs.ext4' } };

/** A manifest whose artifacts lie on this server, with their digests. */
function hosted(origin: string): object {
  return {
    ...FACTS,
    kernel: { url: `${origin}/${SET.kernel.url}`, sha256: digestOf(KERNEL) },
    rootfs: { url: `${origin}/${SET.rootfs.url}`, sha256: digestOf(ROOTFS) },
  };
}

test('45: a manifest file is read as UTF-8', async (t) => {
  const { ensure } = await manifestWorld(t);
  assert.equal((await ensure({ name: 'für alle ✓' })).bundleId, 'minimal');
});

test('45: a manifest file that is missing, or cannot be read, is BASE_IMAGE_MANIFEST_FAILED', async (t) => {
  const { folder, images } = await worldOf(t);
  await mkdir(join(folder, 'a.json'));
  for (const name of ['nowhere.json', 'a.json']) {
    const manifestPath = join(folder, name);
    const failure = await rejection(images.ensureBaseImage({ manifestPath }));
    assert.equal(failure.code, 'BASE_IMAGE_MANIFEST_FAILED');
    assert.ok(failure.message.includes(manifestPath));
  }
});

test('46: a manifest is fetched from its URL', async (t) => {
  const web = await startWeb(t, { '/vmlinux': KERNEL, '/rootfs.ext4': ROOTFS });
  web.files.set('/m.json', JSON.stringify(hosted(web.origin)));
  const { images } = await worldOf(t);
  const bundle = await images.ensureBaseImage({ manifestUrl: `${web.origin}/m.json` });
  assert.equal(bundle.bundleId, 'minimal');
  assert.ok(bundle.source.type === 'hosted-manifest' && bundle.source.manifestUrl === `${web.origin}/m.json`);
});

for (const status of [404, 403, 500]) {
  test(`46 (superseded by W16): a sound manifest behind status ${status} is no manifest`, async (t) => {
    const web = await startWeb(t, {});
    web.files.set('/m.json', JSON.stringify(hosted(web.origin)));
    web.status = status;
    const { images } = await worldOf(t);
    const failure = await rejection(images.ensureBaseImage({ manifestUrl: `${web.origin}/m.json` }));
    assert.equal(failure.code, 'BASE_IMAGE_MANIFEST_FAILED');
    assert.ok(failure.message.includes(String(status)) && failure.message.includes(web.origin));
  });
}

for (const text of ['', '{', '<html></html>', "{'schemaVersion': 1}"]) {
  test(`47: ${JSON.stringify(text)} is no JSON: BASE_IMAGE_MANIFEST_FAILED, from a file and from an URL`, async (t) => {
    const web = await startWeb(t, { '/m.json': text });
    const { folder, images } = await worldOf(t);
    const manifestPath = join(folder, 'm.json');
    await writeFile(manifestPath, text);
    assert.equal((await rejection(images.ensureBaseImage({ manifestPath }))).code, 'BASE_IMAGE_MANIFEST_FAILED');
    const manifestUrl = `${web.origin}/m.json`;
    assert.equal((await rejection(images.ensureBaseImage({ manifestUrl }))).code, 'BASE_IMAGE_MANIFEST_FAILED');
  });
}

for (const text of ['null', '[]', '[{}]', '7', '"text"', 'true']) {
  test(`48 (in part superseded by W19): the JSON ${text} is INVALID_BASE_IMAGE_MANIFEST`, async (t) => {
    const { folder, images } = await worldOf(t);
    const manifestPath = join(folder, 'm.json');
    await writeFile(manifestPath, text);
    assert.equal((await rejection(images.ensureBaseImage({ manifestPath }))).code, 'INVALID_BASE_IMAGE_MANIFEST');
  });
}

const PATH = { path: 'vmlinux' };
const REMOTE = { url: 'https://host/x', sha256: SHA };

/** Each rule, values that break it, and the field that the error must name. */
const RULES: readonly (readonly [number: string, rule: string, field: RegExp, broken: readonly Fields[]])[] = [
  [
    '49',
    'schemaVersion is the number 1',
    /schemaVersion/,
    [1.5, 0, 2, '1', true, null, undefined].map((schemaVersion) => ({ schemaVersion })),
  ],
  [
    '50',
    'bundleId is there and is letters, digits, ".", "_", "-"',
    /bundleId/,
    [undefined, null, '', 'a/b', 'a b', '../a', 'ä', 'a\n', 'a\0'].map((bundleId) => ({ bundleId })),
  ],
  [
    '50 (second sentence superseded by W1)',
    'bundleId is no way out of the cache',
    /bundleId/,
    ['.', '..', '.a', 'x'.repeat(300)].map((bundleId) => ({ bundleId })),
  ],
  ['51', 'arch is the one that was asked for', /arch/, ['aarch64', 'arm64', '', undefined].map((arch) => ({ arch }))],
  [
    '52',
    'firecrackerVersion is vN.N.N',
    /firecrackerVersion/,
    [undefined, null, '', '1.15.1', 'v1.7', 'v1.7.0-rc1', 'v1.7.0 ', 'v1.7.x'].map((firecrackerVersion) => ({
      firecrackerVersion,
    })),
  ],
  [
    '53',
    'rootfsType is ext4 or squashfs',
    /rootfsType/,
    [undefined, null, '', 'EXT4', 'btrfs'].map((rootfsType) => ({ rootfsType })),
  ],
  ['54.1', 'an artifact has url or path', /needs url or path/, [{}, { sha256: SHA }]],
  ['54.2', 'an artifact has not both', /both url and path/, [{ ...REMOTE, path: 'vmlinux' }]],
  [
    '54.3',
    'fileName is a plain name',
    /fileName/,
    ['', '.', '..', 'a/b', 'a\\b', 'a b', 'ä', null].map((fileName) => ({ ...PATH, fileName })),
  ],
  ['54.4', 'url needs sha256', /requires sha256/, [{ url: 'https://host/x' }]],
  [
    '54.5',
    'sha256 is 64 hex digits',
    /sha256/,
    ['', null, 'a'.repeat(63), 'a'.repeat(65), 'g'.repeat(64)].map((sha256) => ({ ...PATH, sha256 })),
  ],
  [
    '54.6',
    'sizeBytes is an integer of at least 0',
    /sizeBytes/,
    [null, -1, 1.5, '5'].map((sizeBytes) => ({ ...PATH, sizeBytes })),
  ],
  [
    '57 (superseded by W19)',
    'kernel and rootfs are there, names are text',
    /bundleId/,
    [{ bundleId: 7 }, { bundleId: {} }],
  ],
  [
    '58 (superseded by W34)',
    'a squashfs cannot be written',
    /rootfsIsReadOnly/,
    [{ rootfsType: 'squashfs', rootfsIsReadOnly: false }],
  ],
  [
    '56 (second sentence superseded by W19, W34)',
    'rootfsIsReadOnly and bootArgs have their types',
    /rootfsIsReadOnly|bootArgs/,
    [{ rootfsIsReadOnly: 'yes' }, { bootArgs: 7 }, { bootArgs: ['quiet'] }],
  ],
];

for (const [number, rule, field, broken] of RULES) {
  const ofArtifact = number.startsWith('54');
  const cases = ofArtifact ? broken.flatMap((one) => [{ kernel: one }, { rootfs: one }]) : broken;
  test(`${number}: ${rule}`, async (t) => {
    const { ensure, images } = await manifestWorld(t);
    for (const fields of cases) {
      const failure = await rejection(ensure(fields));
      assert.equal(failure.code, 'INVALID_BASE_IMAGE_MANIFEST', JSON.stringify(fields));
      assert.match(failure.message, field, JSON.stringify(fields));
      const role = Object.keys(fields)[0] ?? '';
      if (ofArtifact) assert.ok(failure.message.includes(role), `${role} is named: ${failure.message}`);
    }
    assert.deepEqual(await images.listBaseImages(), []);
  });
}

for (const value of [undefined, null, 7, 'vmlinux', []] as readonly unknown[]) {
  test(`57 (superseded by W19): ${JSON.stringify({ value })} for kernel or rootfs is a coded error`, async (t) => {
    const { ensure } = await manifestWorld(t);
    for (const role of ['kernel', 'rootfs']) {
      const failure = await rejection(ensure({ [role]: value }));
      assert.equal(failure.code, 'INVALID_BASE_IMAGE_MANIFEST');
      assert.ok(failure.message.includes(role));
    }
  });
}

test('57 (superseded by W19): a numeric fileName is a coded error', async (t) => {
  const { ensure } = await manifestWorld(t);
  const failure = await rejection(ensure({ kernel: { ...PATH, fileName: 7 } }));
  assert.equal(failure.code, 'INVALID_BASE_IMAGE_MANIFEST');
  assert.match(failure.message, /kernel\.fileName/);
});

test('54: a sizeBytes of 0 and a path without digest are accepted', async (t) => {
  const { ensure, folder } = await manifestWorld(t);
  await writeFile(join(folder, 'empty'), '');
  const bundle = await ensure({ kernel: { path: 'empty', sizeBytes: 0 } });
  assert.equal(bundle.sizes.kernelBytes, 0);
  assert.equal(bundle.trust, 'first-use');
});

test('55: an upper-case sha256 is accepted, and is told in lower case', async (t) => {
  const { ensure } = await manifestWorld(t);
  const sha256 = digestOf(KERNEL);
  const bundle = await ensure({ kernel: { ...PATH, sha256: sha256.toUpperCase() } });
  assert.equal(bundle.checksums.kernelSha256, sha256);
});

test('56: fields that nobody knows are ignored', async (t) => {
  const { ensure } = await manifestWorld(t);
  const bundle = await ensure({ tomorrow: { x: [1] }, kernel: { ...PATH, signature: 'later' } });
  assert.equal(bundle.bundleId, 'minimal');
});

test('59: preset and ciVersion of a hosted bundle are hosted, its id is the one of the manifest', async (t) => {
  const { ensure } = await manifestWorld(t);
  const { preset, ciVersion, bundleId, firecrackerVersion, arch } = await ensure();
  assert.deepEqual(
    { preset, ciVersion, bundleId, firecrackerVersion, arch },
    { preset: 'hosted', ciVersion: 'hosted', bundleId: 'minimal', firecrackerVersion: 'v1.15.1', arch: 'x86_64' },
  );
});

for (const [fields, expected] of [
  [{ rootfsType: 'ext4' }, false],
  [{ rootfsType: 'squashfs' }, true],
  [{ rootfsType: 'ext4', rootfsIsReadOnly: true }, true],
  [{ rootfsType: 'ext4', rootfsIsReadOnly: false }, false],
] as const) {
  test(`59: with ${JSON.stringify(fields)} rootfsIsReadOnly is ${expected}`, async (t) => {
    const { ensure } = await manifestWorld(t);
    assert.equal((await ensure(fields)).rootfsIsReadOnly, expected);
  });
}
