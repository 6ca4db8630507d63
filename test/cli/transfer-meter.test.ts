import assert from 'node:assert/strict';
import test from 'node:test';
import type { TransferNews } from '../../src/cli/progress.ts';
import { TransferMeter } from '../../src/cli/transfer-meter.ts';

const rootfs = (bytes: number, totalBytes: number, resumedBytes = 0): TransferNews => ({
  role: 'rootfs',
  fileName: 'r',
  bytes,
  totalBytes,
  resumedBytes,
});

test('the rate is that of the last seconds, not of the whole transfer', () => {
  const meter = new TransferMeter('rootfs', 0);
  for (let second = 1; second <= 10; second++) meter.note(rootfs(second * 1000, 1e6), second * 1000);
  for (let second = 11; second <= 20; second++) meter.note(rootfs(10_000 + (second - 10) * 5000, 1e6), second * 1000);
  assert.equal(Math.round(meter.view(20_000).bytesPerSecond), 5000);
});

test('the rate falls while nothing comes', () => {
  const meter = new TransferMeter('rootfs', 0);
  meter.note(rootfs(1000, 1e6), 1000);
  assert.ok(meter.view(11_000).bytesPerSecond < 100);
});

test('a transfer that starts again does not show a negative rate', () => {
  const meter = new TransferMeter('rootfs', 0);
  meter.note(rootfs(5000, 1e6), 1000);
  meter.note(rootfs(100, 1e6), 2000);
  assert.ok(meter.view(2500).bytesPerSecond >= 0);
});

test('a finished transfer keeps its time and its average', () => {
  const meter = new TransferMeter('kernel', 0);
  meter.note(rootfs(2000, 2000), 1000);
  meter.note(rootfs(2000, 2000), 5000);
  const { done, elapsedMs, bytesPerSecond } = meter.view(60_000);
  assert.deepEqual({ done, elapsedMs, bytesPerSecond }, { done: true, elapsedMs: 1000, bytesPerSecond: 2000 });
});

test('what was here from an earlier attempt is not counted as fast', () => {
  const meter = new TransferMeter('rootfs', 0);
  meter.note(rootfs(500_000, 1e6, 500_000), 10);
  assert.equal(meter.view(20).bytesPerSecond, 0);
  meter.note(rootfs(502_000, 1e6, 500_000), 1000);
  assert.equal(Math.round(meter.view(1000).bytesPerSecond), 2000);
  meter.note(rootfs(1e6, 1e6, 500_000), 10_000);
  assert.equal(meter.view(11_000).bytesPerSecond, 50_000);
});

test('trouble is seen until the pause is over and bytes come again, whatever was still being written meanwhile', () => {
  const meter = new TransferMeter('rootfs', 0);
  meter.note(rootfs(1000, 1e6), 1000);
  const news = { source: 'h', message: 'reset', attempt: 2, maxAttempts: 5, pauseMs: 4000 };
  meter.retry(news, 1000);
  meter.note(rootfs(2000, 1e6), 1100);
  assert.deepEqual(meter.view(2000).trouble, { news, leftMs: 3000 });
  assert.deepEqual(meter.view(6000).trouble, { news, leftMs: 0 });
  meter.note(rootfs(3000, 1e6), 6100);
  assert.equal(meter.view(6100).trouble, undefined);
});

test('a transfer that begins again is not done, and not in the red', () => {
  const meter = new TransferMeter('rootfs', 0);
  meter.note(rootfs(900_000, 1e6, 800_000), 1000);
  meter.note(rootfs(0, 1e6), 2000);
  const view = meter.view(2000);
  assert.deepEqual([view.bytes, view.keptBytes, view.bytesPerSecond, view.done], [0, 0, 0, false]);
});
