import assert from 'node:assert/strict';
import test from 'node:test';
import type { Bundle } from '../../src/image.ts';
import { sortByWorth, toEvict, type Eviction } from '../../src/store/retention.ts';
import { factsOf } from '../support/images.ts';

const NOW = Date.parse('2026-11-24T12:00:00.000Z');

function bundle(name: string, lastAccessedAt: string, createdAt = '2026-01-01T00:00:00.000Z'): Bundle {
  return {
    ...factsOf({ bundleId: name }),
    bundleDir: `/cache/v1/bundles/${name}`,
    kernelImagePath: '',
    rootfsPath: '',
    checksums: { kernelSha256: '', rootfsSha256: '' },
    sizes: { kernelBytes: 1, rootfsBytes: 1 },
    createdAt,
    lastAccessedAt,
  };
}

const never = (): boolean => false;
const ids = (bundles: readonly Bundle[]): string[] => bundles.map(({ bundleId }) => bundleId);
const gone = (evictions: readonly Eviction[]): string[] => evictions.map(({ bundle }) => bundle.bundleId);

test('the least recently used go, the most recently used of them first', () => {
  const all = ['c', 'a', 'd', 'b'].map((name, i) => bundle(name, `2026-02-0${i + 1}T00:00:00.000Z`));
  assert.deepEqual(gone(toEvict(all, { bundles: 2 }, never, never)), ['a', 'c']);
  assert.deepEqual(gone(toEvict(all, { bundles: 4 }, never, never)), []);
  assert.deepEqual(gone(toEvict(all, { bundles: 0 }, never, never)), ['b', 'd', 'a', 'c']);
});

test('a protected bundle is kept before all others and counts: with 2, the oldest protected, it and the newest stay', () => {
  const all = ['a', 'b', 'c', 'd'].map((name, i) => bundle(name, `2026-02-0${i + 1}T00:00:00.000Z`));
  assert.deepEqual(gone(toEvict(all, { bundles: 2 }, ({ bundleId }) => bundleId === 'a', never)), ['c', 'b']);
});

test('a bundle in use neither goes nor counts', () => {
  const all = ['a', 'b', 'c', 'd'].map((name, i) => bundle(name, `2026-02-0${i + 1}T00:00:00.000Z`));
  assert.deepEqual(gone(toEvict(all, { bundles: 2 }, never, ({ bundleId }) => bundleId === 'a')), ['b']);
  assert.deepEqual(gone(toEvict(all, { bundles: 2 }, never, ({ bundleId }) => bundleId === 'd')), ['a']);
});

test('equal times are ordered by creation, then by name, whatever order they were listed in', () => {
  const used = '2026-02-01T00:00:00.000Z';
  const all = [
    bundle('y', used, '2026-01-01T00:00:00.000Z'),
    bundle('x', used, '2026-01-01T00:00:00.000Z'),
    bundle('new', used, '2026-01-02T00:00:00.000Z'),
  ];
  for (const order of [all, [...all].reverse(), [all[1], all[2], all[0]].flatMap((one) => one ?? [])]) {
    assert.deepEqual(ids(sortByWorth(order, never, NOW)), ['new', 'x', 'y']);
  }
});

test('a time that cannot be read, or lies in the future, is the oldest and not kept for ever', () => {
  const all = [
    bundle('future', '2036-11-24T12:00:00.000Z'),
    bundle('garbage', 'yesterday'),
    bundle('slightly-ahead', '2026-11-24T12:00:30.000Z'),
    bundle('old', '2020-01-01T00:00:00.000Z'),
  ];
  assert.deepEqual(ids(sortByWorth(all, never, NOW)), ['slightly-ahead', 'old', 'future', 'garbage']);
});

test('what is beyond a number of bytes goes, the least worth-while first; content that is shared counts once', () => {
  const all = ['a', 'b', 'c'].map((name, i) => ({
    ...bundle(name, `2026-02-0${i + 1}T00:00:00.000Z`),
    checksums: { kernelSha256: 'shared', rootfsSha256: name },
    sizes: { kernelBytes: 10, rootfsBytes: 100 },
  }));
  assert.deepEqual(gone(toEvict(all, { bundles: 9, bytes: 310 }, never, never)), []);
  assert.deepEqual(gone(toEvict(all, { bundles: 9, bytes: 309 }, never, never)), ['a']);
  assert.deepEqual(gone(toEvict(all, { bundles: 9, bytes: 50 }, never, never)), ['c', 'b', 'a']);
  assert.deepEqual(gone(toEvict(all, { bundles: 1, bytes: 309 }, never, never)), ['b', 'a']);
});

test('a protected bundle stays however large it is, and a smaller one does not stay in the place of a better one', () => {
  const all = [100, 1, 100].map((rootfsBytes, i) => ({
    ...bundle(`${i}`, `2026-02-0${i + 1}T00:00:00.000Z`),
    checksums: { kernelSha256: `k${i}`, rootfsSha256: `r${i}` },
    sizes: { kernelBytes: 0, rootfsBytes },
  }));
  assert.deepEqual(gone(toEvict(all, { bundles: 9, bytes: 50 }, ({ bundleId }) => bundleId === '0', never)), [
    '2',
    '1',
  ]);
});
