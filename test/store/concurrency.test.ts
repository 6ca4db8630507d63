import assert from 'node:assert/strict';
import { readFile, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { BundleStore } from '../../src/store/bundle-store.ts';
import { contextOf, imageOf } from '../support/images.ts';
import { linesIn, rejection, runScript, storePlace, until } from './store.fixture.ts';

test('two calls in one process for one image, through two stores, fetch once and both succeed', async (t) => {
  const { store, cacheDir } = await storePlace(t);
  let opened = 0;
  const image = imageOf({
    onOpen: async () => {
      opened++;
      await new Promise((resolve) => setTimeout(resolve, 50));
    },
  });
  const second = new BundleStore({ cacheDir });
  const [a, b, c] = await Promise.all([
    store.add(image, contextOf()),
    second.add(image, contextOf()),
    store.add(image, contextOf()),
  ]);
  assert.equal(opened, 2);
  assert.equal(a.createdAt, b.createdAt);
  assert.equal(a.bundleDir, c.bundleDir);
});

test('eight processes that want one image at the same time, in a cache that is not there yet, fetch it once', async (t) => {
  const { store, dir, cacheDir, root } = await storePlace(t);
  const counter = join(dir, 'opened');
  const job = { cacheDir, act: 'add', counter, openMs: 400 };
  const children = Array.from({ length: 8 }, () => runScript(t, 'worker.fixture.ts', [JSON.stringify(job)]));
  for (const { ended } of children) {
    const { stdout, stderr } = await ended;
    assert.equal((JSON.parse(stdout) as { ok: boolean }).ok, true, stdout + stderr);
  }
  assert.equal(linesIn(counter), 2, 'a kernel and a root');
  assert.equal((await store.list()).length, 1);
  assert.deepEqual(await readdir(join(root, 'staging')), []);
});

test('processes that want different images with one content in common fetch that content once', async (t) => {
  const { store, dir, cacheDir } = await storePlace(t);
  const counter = join(dir, 'opened');
  const children = ['a', 'b', 'c', 'd'].map((bundleId) =>
    runScript(t, 'worker.fixture.ts', [
      JSON.stringify({ cacheDir, act: 'add', counter, openMs: 300, image: { bundleId } }),
    ]),
  );
  for (const { ended } of children) assert.match((await ended).stdout, /"ok":true/);
  assert.equal(linesIn(counter), 2);
  assert.equal((await store.list()).length, 4);
  for (const bundle of await store.list()) assert.deepEqual(await store.verify(bundle, contextOf()), []);
});

test('processes that want content whose digest nobody publishes, in different images, fetch it once', async (t) => {
  const { store, dir, cacheDir } = await storePlace(t);
  const counter = join(dir, 'opened');
  const unknown = { sha256: false, bytes: false } as const;
  const children = ['a', 'b', 'c'].map((bundleId) => {
    const image = {
      bundleId,
      kernel: { content: 'a kernel', ...unknown },
      rootfs: { content: 'a root file system', ...unknown },
    };
    return runScript(t, 'worker.fixture.ts', [JSON.stringify({ cacheDir, act: 'add', counter, openMs: 300, image })]);
  });
  for (const { ended } of children) assert.match((await ended).stdout, /"ok":true/);
  assert.equal(linesIn(counter), 2);
  assert.equal((await store.list()).length, 3);
});

test('a process that is killed in the middle of a fetch holds nobody up: the next one clears up after it and succeeds', async (t) => {
  const { store, dir, cacheDir, root } = await storePlace(t);
  const counter = join(dir, 'opened');
  const job = { cacheDir, act: 'add', counter, hangs: true };
  const victim = runScript(t, 'worker.fixture.ts', [JSON.stringify(job)]);
  await until('the fetch', () => linesIn(counter) === 2);
  const staged = (await readdir(join(root, 'staging'))).map((name) => name.replace(/^.*\./, ''));
  assert.equal(staged.filter((end) => end === 'part').length, 2, 'one for each content that is being fetched');
  assert.equal(staged.length, 3);
  const waiting = contextOf();
  const next = store.add(imageOf(), waiting);
  await until('the wait', () => waiting.events.some((event) => event.phase === 'step'));
  assert.match(JSON.stringify(waiting.events), new RegExp(`waiting for process ${victim.pid}`));
  victim.kill('SIGKILL');
  const bundle = await next;
  assert.equal(await readFile(bundle.kernelImagePath, 'utf8'), 'a kernel');
  assert.deepEqual(await readdir(join(root, 'staging')), []);
});

test('adding, replacing, finding, leasing, pruning and removing at the same time harm nobody', async (t) => {
  const { store, cacheDir, root } = await storePlace(t);
  const images = ['a', 'b', 'c'].map((bundleId) => imageOf({ bundleId, rootfs: { content: `root of ${bundleId}` } }));
  const stores = [store, new BundleStore({ cacheDir }), new BundleStore({ cacheDir })];
  const turns = Array.from({ length: 45 }, async (_, turn) => {
    const image = images[turn % 3] ?? imageOf();
    const one = stores[turn % stores.length] ?? store;
    if (turn % 5 === 4) await one.prune({ limit: 1 }, contextOf());
    else if (turn % 7 === 6) await one.add(image, contextOf(), { replace: true });
    else {
      const bundle = (await one.find(image, contextOf())) ?? (await one.add(image, contextOf()));
      assert.equal(bundle.bundleId, image.facts.bundleId);
    }
  });
  await Promise.all(turns);
  for (const image of images) {
    const bundle = await store.add(image, contextOf());
    assert.deepEqual(await store.verify(bundle, contextOf()), []);
  }
  assert.deepEqual(await readdir(join(root, 'staging')), []);
  assert.deepEqual(await readdir(join(root, 'quarantine')), []);
});

test('no descriptor stays open, whether calls succeed, fail or are refused', async (t) => {
  const { store } = await storePlace(t);
  const open = async (): Promise<readonly string[]> => {
    const names = await readdir('/proc/self/fd');
    const targets = await Promise.all(names.map((name) => readlink(`/proc/self/fd/${name}`).catch(() => '')));
    return targets.filter((target) => target.includes('smartvm-store-'));
  };
  const bundle = await store.add(imageOf(), contextOf());
  await store.find(imageOf(), contextOf());
  await store.add(imageOf(), contextOf(), { replace: true });
  await assert.rejects(store.add(imageOf({ kernel: { content: 'k', failure: new Error('cut') } }), contextOf()));
  await rejection(store.add(imageOf({ kernel: { content: 'k', sha256: '00'.repeat(32) } }), contextOf()));
  await store.verify(bundle, contextOf());
  await store.prune({ limit: 0 }, contextOf());
  assert.deepEqual(await open(), []);
});
