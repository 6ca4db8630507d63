import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { BaseImageManager, type BaseImageManagerOptions, type Bundle } from 'smartvm';
import { filesBelow } from '../support/files-below.ts';
import { rejection } from '../support/rejection.ts';
import { manifestWorld, worldOf, type ManifestWorld } from './contract.fixture.ts';

/** Bundles with these ids, used in this order, and a manager over the same cache with a limit of its own. */
async function usedInOrder(
  t: TestContext,
  ids: readonly string[],
  options: BaseImageManagerOptions,
): Promise<ManifestWorld & { readonly bundles: readonly Bundle[] }> {
  const world = await manifestWorld(t, { maxStoredBaseImages: 100 });
  const bundles = [];
  for (const bundleId of ids) {
    bundles.push(await world.ensure({ bundleId }));
    await sleep(15);
  }
  const logger = { warn: (text: string) => void world.warnings.push(text), info: () => undefined };
  const images = new BaseImageManager({ cacheDir: world.images.getCacheDir(), logger, ...options });
  return { ...world, images, bundles };
}

async function idsIn(images: BaseImageManager): Promise<string[]> {
  return (await images.listBaseImages()).map(({ bundleId }) => bundleId).sort();
}

test('85: pruning makes the cache root when it is missing, and an empty cache gives nothing', async (t) => {
  const { images } = await worldOf(t);
  assert.deepEqual(await images.pruneBaseImageCache(), []);
  assert.ok((await stat(images.getCacheDir())).isDirectory());
  assert.deepEqual(await images.pruneBaseImageCache(), []);
});

test('86 (superseded by W7): what is not a bundle of ours is no candidate, whatever it holds', async (t) => {
  const { bundles, images } = await usedInOrder(t, ['a', 'b'], { maxStoredBaseImages: 1 });
  const [bundle] = bundles;
  const foreign = join(images.getCacheDir(), 'extension');
  const beside = join(dirname(bundle?.bundleDir ?? ''), 'extension');
  for (const folder of [foreign, beside]) {
    await mkdir(folder);
    await writeFile(join(folder, 'manifest.json'), '{"manifest_version": 3, "name": "not ours"}');
    await writeFile(join(folder, 'data'), 'dear');
  }
  assert.deepEqual(await images.pruneBaseImageCache(), ['a']);
  assert.deepEqual((await readdir(foreign)).sort(), ['data', 'manifest.json']);
  assert.deepEqual((await readdir(beside)).sort(), ['data', 'manifest.json']);
});

test('86 (in part superseded by W15): a folder without a record, or with a broken one, is no candidate', async (t) => {
  const { bundles, images } = await usedInOrder(t, ['a', 'b', 'c'], { maxStoredBaseImages: 1 });
  await rm(join(bundles[0]?.bundleDir ?? '', 'manifest.json'));
  assert.deepEqual(await images.pruneBaseImageCache(), ['b']);
});

test('87, 88: the last used stay, up to the limit', async (t) => {
  const { images } = await usedInOrder(t, ['a', 'b', 'c', 'd'], { maxStoredBaseImages: 2 });
  await images.pruneBaseImageCache();
  assert.deepEqual(await idsIn(images), ['c', 'd']);
});

test('87: a hit is a use', async (t) => {
  const { ensure, images } = await usedInOrder(t, ['a', 'b', 'c'], { maxStoredBaseImages: 2 });
  await ensure({ bundleId: 'a' });
  assert.deepEqual(await images.pruneBaseImageCache(), ['b']);
});

test('88: the protected bundle stays however old it is, and counts towards the limit', async (t) => {
  const { bundles, images } = await usedInOrder(t, ['a', 'b', 'c'], { maxStoredBaseImages: 2 });
  assert.deepEqual(await images.pruneBaseImageCache('a'), ['b']);
  assert.deepEqual(await idsIn(images), ['a', 'c']);
  await assert.rejects(stat(bundles[1]?.bundleDir ?? ''), { code: 'ENOENT' });
});

test('88 (in part superseded by W18): a bundle that a machine uses stays, and does not count', async (t) => {
  const { bundles, images } = await usedInOrder(t, ['a', 'b', 'c'], { maxStoredBaseImages: 1 });
  const record = join(bundles[0]?.bundleDir ?? '', 'manifest.json');
  const holder = spawn('flock', ['--shared', record, 'sh', '-c', 'echo held; read line'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  await once(holder.stdout, 'data');
  try {
    assert.deepEqual(await images.pruneBaseImageCache(), ['b']);
    assert.deepEqual(await idsIn(images), ['a', 'c']);
  } finally {
    holder.stdin.end('\n');
    await once(holder, 'exit');
  }
});

for (const keep of [undefined, '', 'nobody', '../a', 'a/']) {
  test(`89: with keepBundleId ${String(keep)} the order of use alone decides`, async (t) => {
    const { images } = await usedInOrder(t, ['a', 'b', 'c'], { maxStoredBaseImages: 2 });
    assert.deepEqual(await images.pruneBaseImageCache(keep), ['a']);
  });
}

test('90: removed ids are returned in the order of removal, the last used of them first', async (t) => {
  const { images } = await usedInOrder(t, ['a', 'b', 'c', 'd'], { maxStoredBaseImages: 1 });
  assert.deepEqual(await images.pruneBaseImageCache(), ['c', 'b', 'a']);
});

test('91 (in part superseded by W33): each removal is told to the logger with limit, id, folder and the setting', async (t) => {
  const { bundles, images, warnings } = await usedInOrder(t, ['a', 'b', 'c'], { maxStoredBaseImages: 1 });
  await images.pruneBaseImageCache();
  assert.equal(warnings.length, 2);
  for (const [index, id] of ['b', 'a'].entries()) {
    const dir = bundles.find(({ bundleId }) => bundleId === id)?.bundleDir ?? '';
    const text = warnings[index] ?? '';
    for (const word of ['[smartvm]', '1', id, dir, 'maxStoredBaseImages']) assert.ok(text.includes(word), text);
  }
});

test('91: a removal is told before it happens', async (t) => {
  const seen: boolean[] = [];
  const world = await usedInOrder(t, ['a', 'b'], { maxStoredBaseImages: 1 });
  const dir = world.bundles[0]?.bundleDir ?? '';
  const logger = { warn: () => void seen.push(existsSync(dir)), info: () => undefined };
  const cacheDir = world.images.getCacheDir();
  await new BaseImageManager({ cacheDir, logger, maxStoredBaseImages: 1 }).pruneBaseImageCache();
  assert.deepEqual(seen, [true]);
});

test('92 (superseded by W22): equal times are no draw, and a time in the far future is the oldest', async (t) => {
  const { bundles, images } = await usedInOrder(t, ['a', 'b', 'c'], { maxStoredBaseImages: 2 });
  const usedOf = (bundle?: Bundle): string =>
    join(images.getCacheDir(), 'v1', 'used', basename(bundle?.bundleDir ?? ''));
  const now = new Date();
  for (const bundle of bundles) await utimes(usedOf(bundle), now, now);
  const plan = (): Promise<unknown> =>
    images.pruneBaseImages({ dryRun: true }).then(({ removed }) => removed.map(({ bundleId }) => bundleId));
  assert.deepEqual([await plan(), await plan()], [['a'], ['a']], 'of equals the first made goes');
  const future = new Date('2090-01-01');
  await utimes(usedOf(bundles[2]), future, future);
  assert.deepEqual(await plan(), ['c']);
});

test('93 (in part superseded by W27): a cache that cannot be read is an error, not an empty one', async (t) => {
  const { bundles, images } = await usedInOrder(t, ['a', 'b'], { maxStoredBaseImages: 1 });
  const folder = dirname(bundles[0]?.bundleDir ?? '');
  await rm(folder, { recursive: true });
  await writeFile(folder, 'a file where the bundles should be');
  const failure = await rejection(images.pruneBaseImageCache());
  assert.equal(failure.code, 'STORE_UNREADABLE');
  assert.ok(failure.message.includes(folder));
});

test('93 (in part superseded by W3): what cannot be removed is told, and the rest is removed', async (t) => {
  const { bundles, images, warnings } = await usedInOrder(t, ['a', 'b', 'c'], { maxStoredBaseImages: 1 });
  const busy = bundles[0]?.bundleDir ?? '';
  const lock = join(images.getCacheDir(), 'v1', 'locks', `${basename(busy)}.lock`);
  const holder = spawn('flock', [lock, 'sh', '-c', 'echo held; read line'], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(holder.stdout, 'data');
  try {
    const { removed, skipped } = await images.pruneBaseImages();
    assert.deepEqual(
      [removed.map(({ bundleId }) => bundleId), skipped.map(({ bundleId }) => bundleId)],
      [['b'], ['a']],
    );
    assert.match(warnings.join('\n'), /was not removed/);
    assert.ok((await filesBelow(busy)).includes('manifest.json'));
  } finally {
    holder.stdin.end('\n');
    await once(holder, 'exit');
  }
});
