import assert from 'node:assert/strict';
import test from 'node:test';
import {
  all,
  chunked,
  contentLength,
  drip,
  emptyReply,
  endless,
  extraBytes,
  garbage,
  gzipped,
  halfStatusLine,
  hugeHeader,
  lengthAndChunked,
  manyHeaders,
  negativeLength,
  noContentLength,
  reset,
  serve,
  silence,
  stall,
  truncate,
  twoLengths,
} from 'smartvm/testing';
import { rejection } from '../support/rejection.ts';
import {
  KERNEL,
  assertContinues,
  assertOnlyContinuable,
  assertRight,
  assertTold,
  rangesOf,
  worldOf,
} from './faults.fixture.ts';

const CUT = { afterBytes: 50_000 };

test('N01: a body that is cut goes on where it was', async (t) => {
  const world = await worldOf(t, { kernel: [truncate(CUT), serve()] });
  await assertRight(world, await world.ensure());
  assert.deepEqual(rangesOf(world), ['', 'bytes=50000-']);
  const [first, second] = world.server.requestsFor('/vmlinux');
  assert.equal(first?.headers['if-range'], undefined);
  assert.match(second?.headers['if-range'] ?? '', /^"[0-9a-f]{32}"$/);
});

test('N01: a body that is cut again and again is told as cut, and the next call goes on with it', async (t) => {
  const world = await worldOf(t, { kernel: [truncate(CUT)] });
  await assertTold(world, { cause: 'TRANSFER_TRUNCATED', bytes: 100_000, tries: 2 });
  assert.deepEqual(rangesOf(world), ['', 'bytes=50000-']);
  await assertContinues(world, 100_000);
});

test('N02: a connection that is reset under a body goes on where it was', async (t) => {
  const world = await worldOf(t, { kernel: [reset(CUT), serve()] });
  await assertRight(world, await world.ensure());
  assert.equal(rangesOf(world).length, 2);
  assert.match(rangesOf(world)[1] ?? '', /^bytes=[1-9]\d*-$/);
});

test('N02: a connection that is reset again and again is told with what came of the body', async (t) => {
  const world = await worldOf(t, { kernel: [reset(CUT)] });
  await assertTold(world, { cause: 'TRANSFER_TRUNCATED', says: /after \d+ of 200004 bytes/, tries: 2 });
  assert.equal(rangesOf(world).length, 2);
  await assertOnlyContinuable(world);
});

test('N03: a body that is cut without a length to tell it by is found by the promised size, and goes on', async (t) => {
  const world = await worldOf(t, { kernel: [all(noContentLength(), truncate(CUT)), serve()] });
  await assertRight(world, await world.ensure());
  assert.deepEqual(rangesOf(world), ['', 'bytes=50000-']);
});

test('N03: where no size is promised either, the digest finds it, and no part of it is kept', async (t) => {
  const world = await worldOf(t, { kernel: [all(noContentLength(), truncate(CUT))], hasSizes: false });
  await assertTold(world, { cause: 'STORE_DIGEST_MISMATCH', host: 'vmlinux', says: /SHA-256 mismatch/ });
  await assertOnlyContinuable(world);
  world.server.script('/vmlinux', []);
  await assertRight(world, await world.ensure());
  assert.equal(rangesOf(world).at(-1), '', 'what was wrong was gone on with');
});

test('N03: an address without a digest is refused before it is asked', async (t) => {
  const world = await worldOf(t);
  world.server.put('/image.json', JSON.stringify({ schemaVersion: 1, kernel: { url: world.server.url('/vmlinux') } }));
  const error = await rejection(world.ensure());
  assert.equal(error.code, 'INVALID_BASE_IMAGE_MANIFEST');
  assert.match(error.message, /kernel with url requires sha256/);
  assert.deepEqual(rangesOf(world), []);
});

for (const [where, afterBytes] of [
  ['inside a chunk', 50_000],
  ['before the last chunk', KERNEL.byteLength],
] as const) {
  test(`N04: a body in chunks that is cut ${where} is made whole`, async (t) => {
    const cut = all(chunked({ chunkBytes: 16_384 }), truncate({ afterBytes }));
    const world = await worldOf(t, { kernel: [cut, serve()] });
    await assertRight(world, await world.ensure());
    assert.ok(rangesOf(world).length <= 2);
  });
}

test('N04: a body in chunks that is cut again and again is told as cut', async (t) => {
  const world = await worldOf(t, { kernel: [all(chunked(), truncate(CUT))] });
  await assertTold(world, { cause: 'TRANSFER_TRUNCATED', bytes: 100_000, tries: 2 });
  await assertContinues(world, 100_000);
});

test('N05: bytes after the end of a body are no part of it, and their connection is used for nothing else', async (t) => {
  const world = await worldOf(t, { kernel: [extraBytes(1000)] });
  await assertRight(world, await world.ensure());
  const [{ connection } = { connection: 0 }, ...others] = world.server.requestsFor('/vmlinux');
  assert.deepEqual(others, []);
  assert.equal(world.server.requests.filter((one) => one.connection === connection).length, 1);
});

test('N05: more bytes than were promised are not taken', async (t) => {
  const world = await worldOf(t, { kernel: [all(noContentLength(), extraBytes(1000))] });
  await assertTold(world, { cause: 'TRANSFER_TOO_LARGE', bytes: KERNEL.byteLength });
  assert.deepEqual(rangesOf(world), ['']);
  await assertOnlyContinuable(world);
});

for (const [what, difference, cause] of [
  ['less', -1, 'TRANSFER_TRUNCATED'],
  ['more', 1, 'TRANSFER_TOO_LARGE'],
] as const) {
  test(`N06: a server that says ${what} bytes than the manifest is left before the first of them`, async (t) => {
    const world = await worldOf(t, { kernel: [contentLength((bytes) => bytes + difference)] });
    await assertTold(world, { cause, bytes: KERNEL.byteLength + difference, says: /\b200004\b/ });
    assert.deepEqual(rangesOf(world), ['']);
    const taken = world.events.filter((event) => event.phase === 'fetch' && event.role === 'kernel' && event.bytes > 0);
    assert.deepEqual(taken, []);
    await assertOnlyContinuable(world);
  });
}

test('N07: nothing compressed is asked for, and what comes compressed all the same is refused', async (t) => {
  const world = await worldOf(t, { kernel: [gzipped()] });
  await assertTold(world, { cause: 'TRANSFER_REFUSED', says: /Content-Encoding "gzip"/ });
  const asked = world.server.requestsFor('/vmlinux');
  assert.deepEqual(
    asked.map(({ headers }) => headers['accept-encoding']),
    ['identity'],
  );
  await assertOnlyContinuable(world);
});

for (const [what, behaviour] of [
  ['an answer with two lengths', twoLengths()],
  ['an answer with a negative length', negativeLength()],
  ['an answer with a length and chunks', lengthAndChunked()],
] as const) {
  test(`N08: ${what} is one typed error`, async (t) => {
    const world = await worldOf(t, { kernel: [behaviour] });
    await assertTold(world, { cause: 'TRANSFER_NETWORK' });
    assert.deepEqual(rangesOf(world), ['']);
    await assertOnlyContinuable(world);
  });
}

for (const [what, behaviour, tries] of [
  ['a header of 1 MB', hugeHeader(1_000_000), 1],
  ['5000 headers', manyHeaders(5000), 1],
  ['garbage', garbage(), 1],
  ['an empty reply', emptyReply(), 2],
] as const) {
  test(`N09: ${what} is one typed error`, async (t) => {
    const world = await worldOf(t, { kernel: [behaviour] });
    await assertTold(world, { cause: 'TRANSFER_NETWORK', tries });
    assert.equal(rangesOf(world).length, tries);
    await assertOnlyContinuable(world);
  });
}

for (const [what, behaviour] of [
  ['a server that takes the request and says nothing', silence()],
  ['half a status line', halfStatusLine()],
] as const) {
  test(`N10: ${what} is given up after the time for the first byte`, async (t) => {
    const world = await worldOf(t, { kernel: [behaviour], manager: { limits: { firstByteTimeoutMs: 500 } } });
    await assertTold(world, { cause: 'TRANSFER_TIMEOUT', says: /within 0\.5 s/, tries: 2 });
    assert.equal(rangesOf(world).length, 2);
    await assertOnlyContinuable(world);
  });
}

test('N10: headers and then nothing are given up after the idle time', async (t) => {
  const world = await worldOf(t, {
    kernel: [stall({ afterBytes: 0 })],
    manager: { limits: { idleTimeoutMs: 500 } },
  });
  await assertTold(world, { cause: 'TRANSFER_TIMEOUT', says: /nothing for 0\.5 s/, tries: 2 });
  await assertOnlyContinuable(world);
});

test('N11: a body that stalls goes on where it was, over another connection', async (t) => {
  const world = await worldOf(t, { kernel: [stall(CUT), serve()], manager: { limits: { idleTimeoutMs: 500 } } });
  await assertRight(world, await world.ensure());
  assert.deepEqual(rangesOf(world), ['', 'bytes=50000-']);
  const [first, second] = world.server.requestsFor('/vmlinux');
  assert.notEqual(first?.connection, second?.connection);
});

test('N11: a body that stalls again and again is told with what came of it', async (t) => {
  const world = await worldOf(t, { kernel: [stall(CUT)], manager: { limits: { idleTimeoutMs: 500 } } });
  await assertTold(world, { cause: 'TRANSFER_TIMEOUT', says: /nothing for 0\.5 s/, bytes: 100_000, tries: 2 });
  await assertContinues(world, 100_000);
});

test('N12: a body that drips is given up although every byte of it comes in time', async (t) => {
  const world = await worldOf(t, {
    kernel: [drip({ bytes: 1, everyMs: 10 })],
    manager: { limits: { lowSpeedMs: 600, lowSpeedBytesPerSecond: 10_000 } },
  });
  await assertTold(world, {
    cause: 'TRANSFER_TIMEOUT',
    says: /\d+ bytes a second.*after \d+ of 200004 bytes/,
    tries: 2,
  });
  assert.equal(rangesOf(world).length, 2);
  await assertOnlyContinuable(world);
});

test('N13: a body without end is left at the promised size, and no more than that is written', async (t) => {
  const world = await worldOf(t, { kernel: [endless()] });
  await assertTold(world, { cause: 'TRANSFER_TOO_LARGE', bytes: KERNEL.byteLength });
  assert.deepEqual(rangesOf(world), ['']);
  const most = Math.max(...world.events.map((event) => (event.phase === 'fetch' ? event.bytes : 0)));
  assert.ok(most <= KERNEL.byteLength, `${most} bytes were written`);
  await assertOnlyContinuable(world);
});

test('N13: a manifest without end is left at its limit', async (t) => {
  const world = await worldOf(t);
  world.server.script('/image.json', [endless()]);
  await assertTold(world, { code: 'BASE_IMAGE_MANIFEST_FAILED', cause: 'TRANSFER_TOO_LARGE', says: /at most 1048576/ });
  assert.equal(world.server.requests.length, 1);
});
