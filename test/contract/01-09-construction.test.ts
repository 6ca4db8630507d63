import assert from 'node:assert/strict';
import { stat } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import test from 'node:test';
import { BaseImageManager, SmartVMError, type BaseImageManagerOptions } from 'smartvm';

/** Makes a manager in an environment that names no cache. */
function managerWithout(environment: readonly string[], options?: BaseImageManagerOptions): BaseImageManager {
  const kept = environment.map((name) => [name, process.env[name]] as const);
  for (const name of environment) Reflect.deleteProperty(process.env, name);
  try {
    return new BaseImageManager(options);
  } finally {
    for (const [name, value] of kept) if (value !== undefined) process.env[name] = value;
  }
}

const NOWHERE = ['SMARTVM_CACHE_DIR', 'XDG_CACHE_HOME'];

test('1 (place superseded by W6): without options two bundles are kept, in the cache folder of the user', () => {
  const manager = managerWithout(NOWHERE);
  assert.equal(manager.getMaxStoredBaseImages(), 2);
  assert.equal(manager.getCacheDir(), join(homedir(), '.cache', 'smartvm'));
  assert.ok(!manager.getCacheDir().startsWith(tmpdir()));
});

test('2 (place superseded by W6): an empty cacheDir is the default one', () => {
  assert.equal(managerWithout(NOWHERE, { cacheDir: '' }).getCacheDir(), join(homedir(), '.cache', 'smartvm'));
});

for (const limit of [undefined, null]) {
  test(`3: maxStoredBaseImages ${String(limit)} is 2`, () => {
    const options = { maxStoredBaseImages: limit } as BaseImageManagerOptions;
    assert.equal(new BaseImageManager(options).getMaxStoredBaseImages(), 2);
  });
}

for (const limit of [0, -1, 1.5, NaN, Infinity, '3', true]) {
  test(`4: maxStoredBaseImages ${typeof limit} ${String(limit)} is refused when the manager is made`, () => {
    assert.throws(
      () => new BaseImageManager({ maxStoredBaseImages: limit } as BaseImageManagerOptions),
      (error) => error instanceof SmartVMError && error.code === 'INVALID_BASE_IMAGE_CACHE_LIMIT',
    );
  });
}

test('5: maxStoredBaseImages 1 is accepted', () => {
  assert.equal(new BaseImageManager({ maxStoredBaseImages: 1 }).getMaxStoredBaseImages(), 1);
});

test('6 (superseded by W24): an unknown arch is refused when an image is asked for, an empty one is x86_64', async () => {
  const manager = new BaseImageManager({ arch: 'sparc', cacheDir: '/nowhere' } as unknown as BaseImageManagerOptions);
  await assert.rejects(manager.ensureBaseImage(), {
    code: 'INVALID_BASE_IMAGE_OPTIONS',
    message: /x86_64, aarch64.*"sparc"/,
  });
  const empty = {
    arch: '',
    cacheDir: '/nowhere',
    hostedManifestPath: '/nowhere.json',
  } as unknown as BaseImageManagerOptions;
  await assert.rejects(new BaseImageManager(empty).ensureBaseImage(), { code: 'BASE_IMAGE_MANIFEST_FAILED' });
});

test('7: making a manager touches neither disk nor network', async () => {
  const cacheDir = join(tmpdir(), `smartvm-never-made-${process.pid}`);
  new BaseImageManager({
    cacheDir,
    bucketUrl: 'http://127.0.0.1:1/none',
    hostedManifestUrl: 'http://127.0.0.1:1/m.json',
  });
  await assert.rejects(stat(cacheDir), { code: 'ENOENT' });
});

test('8 (superseded by W20): both manifests may be set on a manager; the path is read', async () => {
  const manager = new BaseImageManager({
    cacheDir: '/nowhere',
    hostedManifestUrl: 'http://127.0.0.1:1/m.json',
    hostedManifestPath: '/nowhere.json',
  });
  await assert.rejects(manager.ensureBaseImage(), {
    code: 'BASE_IMAGE_MANIFEST_FAILED',
    message: /nowhere\.json.*ENOENT/,
  });
});

test('9 (superseded by W26): a relative cacheDir is made absolute once', () => {
  const manager = new BaseImageManager({ cacheDir: 'images' });
  assert.ok(isAbsolute(manager.getCacheDir()));
  assert.equal(manager.getCacheDir(), resolve('images'));
});
