import assert from 'node:assert/strict';
import { chmod, chown, lchown, mkdir, readFile, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { BundleStore } from '../../src/store/bundle-store.ts';
import { contextOf, imageOf } from '../support/images.ts';
import { rejection, storePlace, treeOf } from './store.fixture.ts';

const asRoot = process.getuid?.() === 0 ? {} : { skip: 'only root can make a folder of somebody else' };
const SOMEBODY = 12345;

/** Both ways into a cache refuse it, in words that fit, and nothing in it has changed. */
async function refuses(dir: string, cacheDir: string, words: RegExp): Promise<void> {
  const before = await treeOf(dir);
  const store = new BundleStore({ cacheDir });
  const added = await rejection(store.add(imageOf(), contextOf()), 'BASE_IMAGE_CACHE_UNSAFE');
  assert.match(added.message, words);
  assert.ok(added.hint);
  assert.deepEqual(await treeOf(dir), before);
}

test('makes a cache for this user only, marked as ours and as a cache', async (t) => {
  const { store, root, cacheDir } = await storePlace(t);
  await store.add(imageOf(), contextOf());
  const tree = await treeOf(join(cacheDir, '..'));
  assert.ok(tree.includes('d 700 cache') && tree.includes('d 700 cache/v1'));
  assert.match(await readFile(join(root, 'CACHEDIR.TAG'), 'utf8'), /^Signature: 8a477f597d28d172789f06886806bc55\n/);
  const marker = JSON.parse(await readFile(join(root, 'owner.json'), 'utf8')) as { format: number; id: string };
  assert.equal(marker.format, 1);
  assert.match(marker.id, /^[0-9a-f-]{36}$/);
});

test('refuses a cache folder that is a symbolic link', async (t) => {
  const { dir, cacheDir } = await storePlace(t);
  await mkdir(join(dir, 'elsewhere'));
  await symlink('elsewhere', cacheDir);
  await refuses(dir, cacheDir, /symbolic link/);
});

test('refuses a v1 that is a symbolic link, also for a hit', async (t) => {
  const { store, dir, cacheDir, root } = await storePlace(t);
  await store.add(imageOf(), contextOf());
  await rename(root, join(dir, 'moved'));
  await symlink(join(dir, 'moved'), root);
  await refuses(dir, cacheDir, /symbolic link/);
  await rejection(store.find(imageOf(), contextOf()), 'BASE_IMAGE_CACHE_UNSAFE');
});

test('refuses a folder of the cache that is a symbolic link, and writes nothing through it', async (t) => {
  for (const folder of ['bundles', 'blobs/sha256', 'staging', 'locks', 'stamps', 'used', 'quarantine']) {
    const { store, dir, cacheDir, root } = await storePlace(t);
    await store.add(imageOf(), contextOf());
    await mkdir(join(dir, 'theirs'));
    await rm(join(root, folder), { recursive: true });
    await symlink(join(dir, 'theirs'), join(root, folder));
    await refuses(dir, cacheDir, /symbolic link/);
    assert.deepEqual(await readdir(join(dir, 'theirs')), []);
  }
});

test('refuses a cache that is a file, and says so', async (t) => {
  const { dir, cacheDir, root } = await storePlace(t);
  await writeFile(cacheDir, 'x');
  await refuses(dir, cacheDir, /is not a directory/);
  await rm(cacheDir);
  await mkdir(cacheDir, { mode: 0o700 });
  await writeFile(root, 'x');
  await refuses(dir, cacheDir, /is not a directory/);
});

test('refuses a cache below a file, and says so', async (t) => {
  const { dir } = await storePlace(t);
  await writeFile(join(dir, 'file'), 'x');
  await refuses(dir, join(dir, 'file', 'cache'), /is not a directory/);
});

test('refuses a cache that the group or others can write, and names the command that mends it', async (t) => {
  for (const mode of [0o770, 0o707, 0o777, 0o1777]) {
    const { store, dir, cacheDir, root } = await storePlace(t);
    await mkdir(cacheDir);
    await chmod(cacheDir, mode);
    await refuses(dir, cacheDir, /can be written by others/);
    await chmod(cacheDir, 0o755);
    await store.add(imageOf(), contextOf());
    await chmod(root, mode);
    await refuses(dir, cacheDir, /can be written by others/);
    const failure = await rejection(store.find(imageOf(), contextOf()), 'BASE_IMAGE_CACHE_UNSAFE');
    assert.equal(failure.hint, `Mend it with: chmod go-w '${root}'`);
  }
});

test('refuses a cache below a folder that others can write, unless its sticky bit keeps them from renaming', async (t) => {
  const { dir } = await storePlace(t);
  const open = join(dir, 'open');
  await mkdir(join(open, 'between'), { recursive: true });
  await chmod(open, 0o777);
  await refuses(dir, join(open, 'between', 'cache'), /lies below .*\/open, which others can write/);
  await refuses(dir, join(open, 'not-there-yet', 'cache'), /lies below .*\/open, which others can write/);
  await chmod(open, 0o1777);
  assert.ok(await new BundleStore({ cacheDir: join(open, 'between', 'cache') }).add(imageOf(), contextOf()));
});

test('refuses a cache of another user, or below a folder of another user', asRoot, async (t) => {
  const { store, dir, cacheDir, root } = await storePlace(t);
  await store.add(imageOf(), contextOf());
  await chown(root, SOMEBODY, SOMEBODY);
  await refuses(dir, cacheDir, new RegExp(`belongs to user ${SOMEBODY}`));
  await rejection(store.find(imageOf(), contextOf()), 'BASE_IMAGE_CACHE_UNSAFE');
  await rejection(store.list(), 'BASE_IMAGE_CACHE_UNSAFE');
  await chown(root, 0, 0);
  await chown(cacheDir, SOMEBODY, SOMEBODY);
  await refuses(dir, cacheDir, new RegExp(`belongs to user ${SOMEBODY}`));
  const theirs = join(dir, 'theirs');
  await mkdir(theirs);
  await chown(theirs, SOMEBODY, SOMEBODY);
  await refuses(dir, join(theirs, 'cache'), new RegExp(`lies below .*/theirs, which belongs to user ${SOMEBODY}`));
});

test('refuses a path that leads over a symbolic link of another user, who could turn it round', asRoot, async (t) => {
  const { dir } = await storePlace(t);
  await mkdir(join(dir, 'mine'));
  await symlink('mine', join(dir, 'link'));
  assert.ok(await new BundleStore({ cacheDir: join(dir, 'link', 'cache') }).add(imageOf(), contextOf()));
  await lchown(join(dir, 'link'), SOMEBODY, SOMEBODY);
  await refuses(dir, join(dir, 'link', 'cache'), /lies below .*\/link, which belongs to user/);
});

test('refuses a folder v1 that holds something and is not marked as ours: nothing is added, listed or pruned', async (t) => {
  const foreign: Record<string, (root: string) => Promise<void>> = {
    'somebody’s project': (root) => writeFile(join(root, 'manifest.json'), '{}'),
    'a folder that is called like one of ours': async (root) => {
      await mkdir(join(root, 'bundles', 'x-0123456789abcdef'), { recursive: true });
      await writeFile(join(root, 'bundles', 'x-0123456789abcdef', 'thesis.txt'), 'mine');
    },
    'a file that is called like one of our folders': (root) => writeFile(join(root, 'bundles'), 'mine'),
  };
  for (const plant of Object.values(foreign)) {
    const { store, dir, cacheDir, root } = await storePlace(t);
    await mkdir(root, { recursive: true, mode: 0o700 });
    await plant(root);
    await refuses(dir, cacheDir, /holds files but not our marker/);
    assert.deepEqual(await store.list(), []);
    const before = await treeOf(dir);
    await assert.rejects(store.prune({ limit: 1 }, contextOf()), { code: 'BASE_IMAGE_CACHE_UNSAFE' });
    assert.deepEqual(await treeOf(dir), before);
  }
});

test('takes over what a process left that died while it marked the cache, and an empty folder', async (t) => {
  const { store, root } = await storePlace(t);
  await mkdir(join(root, 'blobs', 'sha256'), { recursive: true, mode: 0o700 });
  await mkdir(join(root, 'bundles'));
  await writeFile(join(root, 'CACHEDIR.TAG'), 'Signat');
  await writeFile(join(root, `owner.json.${'a'.repeat(24)}`), '{');
  assert.ok(await store.add(imageOf(), contextOf()));
});

test('refuses a marker that is not ours or is of another format, and leaves that cache alone', async (t) => {
  for (const text of ['', 'null', '{"format":2,"id":"x"}', '"format"']) {
    const { store, dir, cacheDir, root } = await storePlace(t);
    await store.add(imageOf(), contextOf());
    await writeFile(join(root, 'owner.json'), text);
    await refuses(dir, cacheDir, /owner\.json (is not our marker|names another format)/);
    await rejection(store.prune({ limit: 1 }, contextOf()), 'BASE_IMAGE_CACHE_UNSAFE');
  }
});

test('folders that somebody deleted from a cache are made again', async (t) => {
  const { store, root } = await storePlace(t);
  await store.add(imageOf(), contextOf());
  for (const folder of await readdir(root)) {
    if (folder !== 'owner.json') await rm(join(root, folder), { recursive: true });
  }
  assert.equal(await store.find(imageOf(), contextOf()), undefined);
  assert.deepEqual(await store.list(), []);
  const context = contextOf();
  for (const reportKept of [true, false]) {
    assert.deepEqual(await store.prune({ limit: 1, reportKept }, context), { removed: [], kept: [], skipped: [] });
  }
  assert.deepEqual(context.warnings, []);
  assert.ok(await store.add(imageOf(), contextOf()));
  assert.ok(await store.find(imageOf(), contextOf()));
});
