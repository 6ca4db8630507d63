import assert from 'node:assert/strict';
import test from 'node:test';
import { TransferMeter } from '../../src/cli/transfer-meter.ts';

test('the rate is that of the last seconds, not of the whole transfer', () => {
  const meter = new TransferMeter('rootfs', 0);
  for (let second = 1; second <= 10; second++) meter.note(second * 1000, 1e6, second * 1000);
  for (let second = 11; second <= 20; second++) meter.note(10_000 + (second - 10) * 5000, 1e6, second * 1000);
  assert.equal(Math.round(meter.view(20_000).bytesPerSecond), 5000);
});

test('the rate falls while nothing comes', () => {
  const meter = new TransferMeter('rootfs', 0);
  meter.note(1000, 1e6, 1000);
  assert.ok(meter.view(11_000).bytesPerSecond < 100);
});

test('a transfer that starts again does not show a negative rate', () => {
  const meter = new TransferMeter('rootfs', 0);
  meter.note(5000, 1e6, 1000);
  meter.note(100, 1e6, 2000);
  assert.ok(meter.view(2500).bytesPerSecond >= 0);
});

test('a finished transfer keeps its time and its average', () => {
  const meter = new TransferMeter('kernel', 0);
  meter.note(2000, 2000, 1000);
  meter.note(2000, 2000, 5000);
  const { done, elapsedMs, bytesPerSecond } = meter.view(60_000);
  assert.deepEqual({ done, elapsedMs, bytesPerSecond }, { done: true, elapsedMs: 1000, bytesPerSecond: 2000 });
});
