import assert from 'node:assert/strict';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import test from 'node:test';
import { BaseImageManager, type BaseImageManagerOptions, type EnsureBaseImageOptions } from 'smartvm';
import { archFrom, cacheDirFrom, readReference, referenceFrom } from '../src/options.ts';

test('the cache lies where the caller says, else where the environment says, else in the user’s cache folder', () => {
  const env = { SMARTVM_CACHE_DIR: '/env', XDG_CACHE_HOME: '/xdg' };
  assert.equal(cacheDirFrom({ cacheDir: '/given' }, env), '/given');
  assert.equal(cacheDirFrom({ cacheDir: '' }, env), '/env');
  assert.equal(cacheDirFrom({}, { XDG_CACHE_HOME: '/xdg' }), '/xdg/smartvm');
  assert.equal(cacheDirFrom({}, { XDG_CACHE_HOME: 'relative' }), join(homedir(), '.cache', 'smartvm'));
  assert.equal(cacheDirFrom({}, {}), join(homedir(), '.cache', 'smartvm'));
});

test('a relative cache folder is made absolute once, when the manager is made', () => {
  assert.equal(new BaseImageManager({ cacheDir: 'images' }).getCacheDir(), resolve('images'));
});

for (const limit of [0, -1, 1.5, NaN, Infinity, '3', 2 ** 60]) {
  test(`a limit of ${JSON.stringify(limit)} (${typeof limit}) bundles is refused when the manager is made`, () => {
    const options = { maxStoredBaseImages: limit } as BaseImageManagerOptions;
    assert.throws(() => new BaseImageManager(options), { code: 'INVALID_BASE_IMAGE_CACHE_LIMIT' });
  });
}

test('two bundles are kept unless another limit is given', () => {
  assert.equal(new BaseImageManager().getMaxStoredBaseImages(), 2);
  assert.equal(new BaseImageManager({ maxStoredBaseImages: 1 }).getMaxStoredBaseImages(), 1);
  const missing = { maxStoredBaseImages: null } as unknown as BaseImageManagerOptions;
  assert.equal(new BaseImageManager(missing).getMaxStoredBaseImages(), 2);
});

const url = 'https://host/m.json';
const CHOICES: readonly (readonly [
  title: string,
  call: EnsureBaseImageOptions,
  manager: BaseImageManagerOptions,
  reference: readonly [scheme: string, locator: string],
])[] = [
  ['nothing given is latest', {}, {}, ['firecracker-ci', 'latest']],
  ['a preset', { preset: 'lts' }, {}, ['firecracker-ci', 'lts']],
  ['the preset debian', { preset: 'debian' }, {}, ['debian', '']],
  ['a reference', { reference: 'v1.15' }, {}, ['firecracker-ci', 'v1.15']],
  ['a manifest of the manager', {}, { hostedManifestUrl: url }, ['hosted-manifest', url]],
  [
    'a path beats an URL of the manager',
    {},
    { hostedManifestUrl: url, hostedManifestPath: '/m' },
    ['hosted-manifest', '/m'],
  ],
  ['a path beats an URL of the call', { manifestUrl: url, manifestPath: '/m' }, {}, ['hosted-manifest', '/m']],
  [
    'an URL of the call beats a path of the manager',
    { manifestUrl: url },
    { hostedManifestPath: '/m' },
    ['hosted-manifest', url],
  ],
  [
    'a preset of the call beats a manifest of the manager',
    { preset: 'latest' },
    { hostedManifestPath: '/m' },
    ['firecracker-ci', 'latest'],
  ],
  [
    'hosted takes the manager’s manifest',
    { preset: 'hosted' },
    { hostedManifestPath: '/m' },
    ['hosted-manifest', '/m'],
  ],
  [
    'a reference of the call beats a manifest of the manager',
    { reference: 'lts' },
    { hostedManifestPath: '/m' },
    ['firecracker-ci', 'lts'],
  ],
  [
    'empty texts are not given',
    { manifestUrl: '', reference: '' },
    { hostedManifestPath: '' },
    ['firecracker-ci', 'latest'],
  ],
];

for (const [title, call, manager, [scheme, locator]] of CHOICES) {
  test(`choosing an image: ${title}`, () => assert.deepEqual(referenceFrom(call, manager), { scheme, locator }));
}

const REFUSED: readonly (readonly [title: string, call: object, code: string])[] = [
  ['hosted without any manifest', { preset: 'hosted' }, 'BASE_IMAGE_MANIFEST_FAILED'],
  ['a preset beside a manifest', { preset: 'latest', manifestUrl: url }, 'INVALID_BASE_IMAGE_OPTIONS'],
  ['a reference beside a manifest', { reference: 'latest', manifestPath: '/m' }, 'INVALID_BASE_IMAGE_OPTIONS'],
  ['a reference beside a preset', { reference: 'latest', preset: 'lts' }, 'INVALID_BASE_IMAGE_OPTIONS'],
  ['a preset with a typing mistake', { preset: 'latst' }, 'INVALID_BASE_IMAGE_OPTIONS'],
  ['a preset that only bundles have', { preset: 'custom' }, 'INVALID_BASE_IMAGE_OPTIONS'],
];

for (const [title, call, code] of REFUSED) {
  test(`choosing an image: ${title} is refused`, async () => {
    await assert.rejects(new BaseImageManager({ cacheDir: '/nowhere' }).ensureBaseImage(call), { code });
  });
}

test('the architecture is the call’s, else the manager’s, else x86_64; an unknown one is refused with the known ones', () => {
  assert.equal(archFrom({ arch: 'aarch64' }, { arch: 'x86_64' }), 'aarch64');
  assert.equal(archFrom({}, { arch: 'aarch64' }), 'aarch64');
  assert.equal(archFrom({}, {}), 'x86_64');
  const typo = { arch: 'arm64' } as unknown as EnsureBaseImageOptions;
  assert.throws(() => archFrom(typo, {}), {
    code: 'INVALID_BASE_IMAGE_OPTIONS',
    message: /x86_64, aarch64, got "arm64"/,
  });
});

test('the path of a manifest is made absolute, its URL is left alone', () => {
  assert.equal(readReference('./m.json').locator, resolve('m.json'));
  assert.equal(readReference(url).locator, url);
});
