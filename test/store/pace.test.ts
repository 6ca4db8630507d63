import assert from 'node:assert/strict';
import test from 'node:test';
import { Pace } from '../../src/store/pace.ts';

test('what was there before does not count, and too early nothing is said', () => {
  const pace = new Pace(5000, 0);
  assert.equal(pace.perSecond(5000, 0), undefined);
  assert.equal(pace.perSecond(5010, 50), undefined);
  assert.equal(pace.perSecond(5100, 100), 1000);
});

test('the rate is that of the last three seconds', () => {
  const pace = new Pace(0, 0);
  let rate: number | undefined;
  for (let ms = 10; ms <= 10_000; ms += 10) rate = pace.perSecond(ms, ms);
  assert.equal(rate, 1000);
  for (let ms = 10_010; ms <= 11_500; ms += 10) rate = pace.perSecond(10_000, ms);
  assert.ok(rate !== undefined && rate >= 450 && rate <= 550, `half of the time nothing came: ${rate}`);
  for (let ms = 11_510; ms <= 13_200; ms += 10) rate = pace.perSecond(10_000, ms);
  assert.equal(rate, 0);
});

test('a count that goes back, because all begins again, is no negative rate', () => {
  const pace = new Pace(1000, 0);
  assert.equal(pace.perSecond(10, 1000), 0);
});
