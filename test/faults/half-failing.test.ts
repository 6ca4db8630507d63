import assert from 'node:assert/strict';
import test from 'node:test';
import { pullHalfFailing } from '../support/half-failing.ts';

const SEEDS = [1, 2, 3, 4, 5, 6];

test('with half of all requests failing every image comes right, and hardly any byte of it twice', async () => {
  const pulls = await Promise.all(
    SEEDS.map((seed) => pullHalfFailing({ seed, kernelBytes: 400_000, rootfsBytes: 700_000 })),
  );
  assert.deepEqual(
    pulls.map(({ isRight }) => isRight),
    SEEDS.map(() => true),
  );
  const sum = (of: 'movedBytes' | 'usefulBytes' | 'failures'): number =>
    pulls.reduce((total, pulled) => total + pulled[of], 0);
  assert.ok(sum('failures') >= SEEDS.length, `only ${sum('failures')} requests failed`);
  const ratio = sum('movedBytes') / sum('usefulBytes');
  assert.ok(ratio <= 1.3, `${ratio.toFixed(2)} times the bytes were moved`);
});
