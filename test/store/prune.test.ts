import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdir, readdir, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import test, { type TestContext } from 'node:test';
import type { Bundle } from '../../src/image.ts';
import { leaseBundle, unlessLeased } from '../../src/store/lease.ts';
import { withLock } from '../../src/store/lock.ts';
import { readReceipts, writeReceipt } from '../../src/store/receipts.ts';
import { contextOf, imageOf, sha256Of } from '../support/images.ts';
import { rejection, runScript, storePlace, treeOf, until, type StorePlace } from './store.fixture.ts';

/** A cache with these bundles, used one after the other in this order; each has a root of its own and shares its kernel. */
async function withBundles(
  t: TestContext,
  ids: readonly string[],
): Promise<StorePlace & { bundles: readonly Bundle[] }> {
  const place = await storePlace(t);
  const bundles: Bundle[] = [];
  for (const [i, bundleId] of ids.entries()) {
    const bundle = await place.store.add(
      imageOf({ bundleId, rootfs: { content: `root of ${bundleId}` } }),
      contextOf(),
    );
    const used = new Date(Date.now() - (ids.length - i) * 60_000);
    await utimes(join(place.root, 'used', basename(bundle.bundleDir)), used, used);
    bundles.push(bundle);
  }
  return { ...place, bundles };
}

const ids = (bundles: readonly { bundleId: string }[]): string[] => bundles.map(({ bundleId }) => bundleId);

test('lists the last used first, and a hit makes a bundle the last used', async (t) => {
  const { store } = await withBundles(t, ['a', 'b', 'c']);
  assert.deepEqual(ids(await store.list()), ['c', 'b', 'a']);
  const found = await store.find(imageOf({ bundleId: 'a', rootfs: { content: 'root of a' } }), contextOf());
  assert.deepEqual(ids(await store.list()), ['a', 'c', 'b']);
  assert.equal((await store.list())[0]?.lastAccessedAt, found?.lastAccessedAt);
});

test('a mark of use that was lost is made again by the next use', async (t) => {
  const { store, root, bundles } = await withBundles(t, ['a', 'b']);
  await rm(join(root, 'used'), { recursive: true });
  await mkdir(join(root, 'used'));
  await new Promise((resolve) => setTimeout(resolve, 5));
  const found = await store.find(imageOf({ bundleId: 'a', rootfs: { content: 'root of a' } }), contextOf());
  assert.deepEqual(ids(await store.list()), ['a', 'b']);
  assert.notEqual(found?.lastAccessedAt, bundles[0]?.lastAccessedAt);
});

test('prunes what is beyond the limit with all it had, says so before, and keeps what others share', async (t) => {
  const { store, root, bundles } = await withBundles(t, ['a', 'b', 'c', 'd']);
  await writeReceipt(bundles[0]?.bundleDir ?? '', 'qemu-tcg', { ok: true });
  const context = contextOf();
  const report = await store.prune({ limit: 2, keepBundleId: 'b' }, context);
  assert.deepEqual(ids(report.removed), ['c', 'a']);
  assert.deepEqual(ids(report.kept), ['b', 'd']);
  assert.deepEqual(report.skipped, []);
  assert.equal(report.removed[0]?.bytes, 8 + 'root of c'.length);
  assert.equal(context.warnings.length, 2);
  assert.match(context.warnings[0] ?? '', /\[smartvm\].* 2 .*c.*maxStoredBaseImages/);
  assert.deepEqual((await readdir(join(root, 'bundles'))).length, 2);
  assert.deepEqual((await readdir(join(root, 'used'))).filter((name) => !name.endsWith('.evicted')).length, 2);
  assert.deepEqual(await readdir(join(root, 'receipts')), []);
  assert.deepEqual(await readdir(join(root, 'staging')), []);
  const left = [sha256Of('a kernel'), sha256Of('root of b'), sha256Of('root of d')].sort();
  assert.deepEqual((await readdir(join(root, 'blobs/sha256'))).sort(), left);
  assert.deepEqual(
    (await readdir(join(root, 'stamps'))).sort(),
    left.map((sha256) => `${sha256}.json`),
  );
});

test('a dry run says what would go and touches nothing', async (t) => {
  const { store, dir } = await withBundles(t, ['a', 'b', 'c']);
  const before = await treeOf(dir);
  const report = await store.prune({ limit: 1, dryRun: true }, contextOf());
  assert.deepEqual(ids(report.removed), ['b', 'a']);
  assert.deepEqual(ids(report.kept), ['c']);
  assert.deepEqual(await treeOf(dir), before);
});

test('within the limit nothing goes, and from a missing cache nothing: it is made, except by a dry run', async (t) => {
  const { store } = await withBundles(t, ['a', 'b']);
  const report = await store.prune({ limit: 2 }, contextOf());
  assert.deepEqual([report.removed, ids(report.kept), report.skipped], [[], ['b', 'a'], []]);
  const missing = await storePlace(t);
  const nothing = { removed: [], kept: [], skipped: [] };
  assert.deepEqual(await missing.store.prune({ limit: 1, dryRun: true }, contextOf()), nothing);
  assert.deepEqual(await readdir(missing.dir), []);
  assert.deepEqual(await missing.store.prune({ limit: 1 }, contextOf()), nothing);
  assert.deepEqual(await readdir(missing.dir), ['cache']);
});

test('a leased bundle is neither pruned nor removed and does not count; released, it goes', async (t) => {
  const { store, bundles } = await withBundles(t, ['a', 'b', 'c']);
  const [a] = bundles;
  assert.ok(a);
  const lease = await leaseBundle(a.bundleDir);
  const second = await leaseBundle(a.bundleDir);
  const report = await store.prune({ limit: 1 }, contextOf());
  assert.deepEqual([ids(report.removed), ids(report.kept)], [['b'], ['c', 'a']]);
  assert.equal(report.kept[1]?.reason, 'in use');
  const failure = await rejection(store.remove(a, contextOf()), 'STORE_LOCKED');
  assert.match(failure.message, /a machine uses it/);
  await lease.release();
  await rejection(store.remove(a, contextOf()), 'STORE_LOCKED');
  await second.release();
  await store.remove(a, contextOf());
  assert.deepEqual(ids(await store.list()), ['c']);
});

test('a lease lives in the process that inherited it, and ends with that and not with ours', async (t) => {
  const { store, bundles } = await withBundles(t, ['a']);
  const [a] = bundles;
  assert.ok(a);
  const lease = await leaseBundle(a.bundleDir);
  const machine = spawn('sleep', ['600'], { stdio: ['ignore', 'ignore', 'ignore', lease.fd] });
  const ended = new Promise((resolve) => machine.on('close', resolve));
  t.after(() => machine.kill('SIGKILL'));
  await lease.release();
  await rejection(store.remove(a, contextOf()), 'STORE_LOCKED');
  machine.kill('SIGKILL');
  await ended;
  await store.remove(a, contextOf());
});

test('a lease falls with a process that is killed', async (t) => {
  const { store, cacheDir, bundles } = await withBundles(t, ['a']);
  const [a] = bundles;
  assert.ok(a);
  const holder = runScript(t, 'worker.fixture.ts', [
    JSON.stringify({ cacheDir, act: 'lease', image: { bundleId: 'a', rootfs: { content: 'root of a' } } }),
  ]);
  await until('the lease', async () => {
    const { removed } = await store.prune({ limit: 0, dryRun: true }, contextOf());
    return removed.length === 0;
  });
  holder.kill('SIGKILL');
  await holder.ended;
  await store.remove(a, contextOf());
});

test('a bundle that is in use may be replaced: its machine keeps its files, and the old is cleared when it is free', async (t) => {
  const { store, root } = await withBundles(t, ['a']);
  const image = imageOf({ bundleId: 'a', rootfs: { content: 'root of a' } });
  const old = await store.find(image, contextOf());
  assert.ok(old);
  const lease = await leaseBundle(old.bundleDir);
  await store.add(image, contextOf(), { replace: true });
  assert.equal((await readdir(join(root, 'staging'))).length, 1);
  await store.add(image, contextOf());
  assert.equal((await readdir(join(root, 'staging'))).length, 1);
  await lease.release();
  await store.add(image, contextOf());
  assert.deepEqual(await readdir(join(root, 'staging')), []);
  assert.ok(await store.find(image, contextOf()));
});

test('leasing what is gone says so', async (t) => {
  const { store, bundles } = await withBundles(t, ['a']);
  const [a] = bundles;
  assert.ok(a);
  await store.remove(a, contextOf());
  await rejection(leaseBundle(a.bundleDir), 'BASE_IMAGE_NOT_CACHED');
});

test('a lease that meets somebody who only asks, as pruning does, waits for him and is had', async (t) => {
  const { bundles } = await withBundles(t, ['a']);
  const bundleDir = bundles[0]?.bundleDir ?? '';
  let begin = (): void => undefined;
  const begun = new Promise<void>((resolve) => (begin = resolve));
  const asking = unlessLeased(bundleDir, async () => {
    begin();
    await new Promise((resolve) => setTimeout(resolve, 150));
  });
  await begun;
  const lease = await leaseBundle(bundleDir);
  assert.ok(await asking);
  await lease.release();
});

test('a bundle that another process works on is skipped, and one that cannot be removed is reported and not thrown', async (t) => {
  const { store, root, bundles } = await withBundles(t, ['a', 'b']);
  const [a] = bundles;
  assert.ok(a);
  const context = contextOf();
  const report = await withLock(join(root, 'locks', `${basename(a.bundleDir)}.lock`), {}, () =>
    store.prune({ limit: 1 }, context),
  );
  assert.deepEqual([ids(report.removed), ids(report.skipped)], [[], ['a']]);
  assert.equal(report.skipped[0]?.reason, 'another process works on it');
  assert.match(context.warnings.at(-1) ?? '', /was not removed/);
});

test('what processes that died left behind is swept: staging, content of nobody, half-written files, old quarantine', async (t) => {
  const { store, root, bundles } = await withBundles(t, ['a']);
  const [a] = bundles;
  assert.ok(a);
  const suffix = '0'.repeat(24);
  const left = join(root, 'staging', `gone-0123456789abcdef.${suffix}`);
  await mkdir(left);
  await writeFile(join(left, 'vmlinux'), 'half');
  await writeFile(join(root, 'blobs/sha256', 'ab'.repeat(32)), 'of nobody');
  await writeFile(join(root, 'staging', `${'ab'.repeat(32)}.${suffix}.trash`), 'of nobody');
  const half = join(root, 'stamps', `${'ab'.repeat(32)}.json.${suffix}`);
  await writeFile(half, '{');
  const fresh = join(root, 'stamps', `${'cd'.repeat(32)}.json.${suffix}`);
  await writeFile(fresh, '{');
  await store.prune({ limit: 5 }, contextOf());
  assert.deepEqual(await readdir(join(root, 'staging')), []);
  assert.ok(!(await readdir(join(root, 'blobs/sha256'))).includes('ab'.repeat(32)));
  assert.ok((await readdir(join(root, 'stamps'))).includes(basename(fresh)), 'somebody may be writing it just now');
  assert.deepEqual(await store.verify(a, contextOf()), []);
});

test('what nobody names is looked for when something was cleared, when the mark of the last time is gone, and once a day', async (t) => {
  const { store, root, bundles } = await withBundles(t, ['a']);
  const swept = join(root, 'swept');
  const orphan = join(root, 'blobs/sha256', 'ab'.repeat(32));
  const isSwept = async (): Promise<boolean> => {
    await writeFile(orphan, 'of nobody');
    await store.prune({ limit: 5 }, contextOf());
    return !(await readdir(join(root, 'blobs/sha256'))).includes(basename(orphan));
  };
  const hours = (count: number): Date => new Date(Date.now() + count * 60 * 60_000);
  assert.equal(await isSwept(), true, 'never before');
  assert.equal(await isSwept(), false, 'just now');
  await utimes(swept, hours(-23), hours(-23));
  assert.equal(await isSwept(), false, '23 hours ago');
  await utimes(swept, hours(-25), hours(-25));
  assert.equal(await isSwept(), true, '25 hours ago');
  await utimes(swept, hours(2), hours(2));
  assert.equal(await isSwept(), true, 'a clock was wrong');
  await rm(swept);
  assert.equal(await isSwept(), true);
  assert.equal(await isSwept(), false);

  // What a process that died left is cleared by the next call for that bundle; which contents it had is not known any more.
  const dead = join(root, 'staging', `${basename(bundles[0]?.bundleDir ?? '')}.${'0'.repeat(24)}`);
  await mkdir(dead);
  await store.add(imageOf({ bundleId: 'a', rootfs: { content: 'root of a' } }), contextOf());
  assert.deepEqual(await readdir(join(root, 'staging')), []);
  assert.equal(await isSwept(), true, 'and so the next prune looks');
  await mkdir(dead);
  assert.equal(await isSwept(), true, 'so it does when it finds that itself');
});

test('what an artifact turned out to be is remembered as long as its content is here', async (t) => {
  const { store, root } = await storePlace(t);
  const kernel = { content: 'a kernel', identity: 'an address', sha256: false };
  const bundle = await store.add(imageOf({ kernel }), contextOf());
  const known = join(root, 'remembered', `${sha256Of('an address')}.json`);
  const long = new Date(Date.now() - 2 * 60 * 60_000);
  await utimes(known, long, long);
  const prune = async (): Promise<readonly string[]> => {
    await rm(join(root, 'swept'), { force: true });
    await store.prune({ limit: 5 }, contextOf());
    return await readdir(join(root, 'remembered'));
  };
  assert.deepEqual(await prune(), [basename(known)]);
  await store.remove(bundle, contextOf());
  assert.deepEqual(await prune(), []);
});

test('a prune that need not say what stays gives only what went', async (t) => {
  const { store } = await withBundles(t, ['a', 'b', 'c']);
  const quietly = { reportKept: false } as const;
  assert.deepEqual(await store.prune({ limit: 3, ...quietly }, contextOf()), { removed: [], kept: [], skipped: [] });
  assert.deepEqual(ids((await store.prune({ limit: 2, ...quietly }, contextOf())).removed), ['a']);
  assert.deepEqual(ids((await store.prune({ limit: 9, maxBytes: 20, ...quietly }, contextOf())).removed), ['b']);
});

test('an old bundle that was moved aside when its process died is put back', async (t) => {
  const { store, root, bundles } = await withBundles(t, ['a']);
  const [a] = bundles;
  assert.ok(a);
  const image = imageOf({
    bundleId: 'a',
    rootfs: { content: 'root of a' },
    onOpen: () => Promise.reject(new Error('there is no need to fetch')),
  });
  const aside = join(root, 'staging', `${basename(a.bundleDir)}.${'0'.repeat(24)}.old`);
  await rename(a.bundleDir, aside);
  assert.equal((await store.add(image, contextOf())).createdAt, a.createdAt);
  await rename(a.bundleDir, aside);
  await store.prune({ limit: 1 }, contextOf());
  assert.deepEqual(ids(await store.list()), ['a']);
});

test('receipts lie beside the bundle, one for each name, and what is no receipt is passed over', async (t) => {
  const { root, bundles, dir } = await withBundles(t, ['a']);
  const [a] = bundles;
  assert.ok(a);
  assert.deepEqual(await readReceipts(a.bundleDir), []);
  const path = await writeReceipt(a.bundleDir, 'qemu-tcg', { bootMs: 1 });
  assert.equal(path, join(root, 'receipts', basename(a.bundleDir), 'qemu-tcg.json'));
  await writeReceipt(a.bundleDir, 'qemu-tcg', { bootMs: 2 });
  await writeReceipt(a.bundleDir, 'firecracker', { bootMs: 3 });
  await writeFile(join(root, 'receipts', basename(a.bundleDir), 'broken.json'), '{');
  assert.deepEqual(await readReceipts(a.bundleDir), [{ bootMs: 3 }, { bootMs: 2 }]);
  await assert.rejects(writeReceipt(a.bundleDir, '../x', {}), TypeError);
  const before = await treeOf(dir);
  for (const elsewhere of [dir, join(dir, 'v1', 'bundles', 'x'), join(dir, 'a', 'b', 'c')]) {
    await rejection(writeReceipt(elsewhere, 'qemu-tcg', {}), 'BASE_IMAGE_NOT_CACHED');
    assert.deepEqual(await readReceipts(elsewhere), []);
  }
  assert.deepEqual(await treeOf(dir), before);
});
