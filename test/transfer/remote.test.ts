import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { SmartVMError } from '../../src/errors.ts';
import type { ArtifactStream } from '../../src/image.ts';
import type { TransferSettings } from '../../src/settings.ts';
import { Network } from '../../src/transfer/network.ts';
import { remoteOpener, type RemoteObject } from '../../src/transfer/remote.ts';
import { contextOf, sha256Of } from '../support/images.ts';
import { startObjectServer, type ObjectBehaviour, type ObjectServer } from '../support/object-server.ts';
import { rejection } from '../support/rejection.ts';
import { bytesOf, serve, until } from './transfer.fixture.ts';

const CONTENT = Buffer.from(Array.from({ length: 100_000 }, (_, index) => index % 251));
const OTHER = Buffer.alloc(CONTENT.byteLength, 'lies');
const SHA256 = sha256Of(CONTENT);

async function serving(t: TestContext, behaviour: Partial<ObjectBehaviour> = {}): Promise<ObjectServer> {
  const server = await startObjectServer(CONTENT, behaviour);
  t.after(() => server.close());
  return server;
}

function opener(
  server: ObjectServer,
  mirrors: readonly ObjectServer[] = [],
  object: Partial<RemoteObject> = { sha256: SHA256 },
  settings: Partial<TransferSettings> = {},
): ReturnType<typeof remoteOpener> {
  const network = new Network({
    allowHttp: [],
    mirrors: mirrors.map(({ origin }) => `${server.origin}=${origin}`),
    limits: { retries: 1 },
    ...settings,
  });
  return remoteOpener({ url: `${server.origin}/x`, ...object }, network);
}

/** Some bytes of a stream, after which it is given up. */
async function begin(stream: ArtifactStream, leastBytes: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) {
    chunks.push(chunk);
    if (Buffer.concat(chunks).byteLength >= leastBytes) break;
  }
  return Buffer.concat(chunks);
}

test('the first mirror that works is asked, and the others are not', async (t) => {
  const [origin, gone, good, spare] = await Promise.all([
    serving(t),
    serving(t, { status: 404 }),
    serving(t),
    serving(t),
  ]);
  const context = contextOf();
  const stream = await opener(origin, [gone, good, spare])(context);
  assert.equal(stream.source, new URL(good.origin).host);
  assert.ok((await bytesOf(stream)).equals(CONTENT));
  assert.deepEqual(
    [origin, gone, good, spare].map(({ asked }) => asked.length),
    [0, 1, 1, 0],
  );
  assert.match(context.warnings.join(), /404.* Asking 127\.0\.0\.1:\d+ instead/);
});

test('a mirror that breaks for good is gone on from at the next place, without beginning again', async (t) => {
  const [origin, mirror] = [await serving(t, { etag: '"other"' }), await serving(t, { cutAfter: 30_000 })];
  const context = contextOf();
  const stream = await opener(origin, [mirror])(context);
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) {
    chunks.push(chunk);
    mirror.behaviour.status = 503;
  }
  assert.ok(Buffer.concat(chunks).equals(CONTENT));
  assert.deepEqual(origin.asked, ['bytes=30000-']);
  assert.equal(stream.source, new URL(origin.origin).host);
});

for (const [what, change] of [
  ['is another object by its ETag', { etag: '"v2"' }],
  ['is another object by its size', { content: CONTENT.subarray(0, 90_000) }],
] as const) {
  test(`a broken body whose rest ${what} is not pieced together, also where the server heeds no condition`, async (t) => {
    const server = await serving(t, { cutAfter: 60_000, ignoresConditions: true });
    const stream = await opener(server, [], {})(contextOf());
    const error = await rejection(
      (async () => {
        for await (const _ of stream) Object.assign(server.behaviour, change);
      })(),
    );
    assert.equal(error.code, 'TRANSFER_TRUNCATED');
    assert.match(error.message, /after 60000 of 100000 bytes/);
  });
}

test('a place that serves no parts gives all of it, and what another one gave is skipped', async (t) => {
  const [origin, mirror] = [await serving(t, { servesRanges: false }), await serving(t, { cutAfter: 30_000 })];
  const stream = await opener(origin, [mirror])(contextOf());
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) {
    chunks.push(chunk);
    mirror.behaviour.status = 503;
  }
  assert.ok(Buffer.concat(chunks).equals(CONTENT));
  assert.equal(origin.sentBytes, 100_000);
});

test('a mirror that was disowned is not asked again', async (t) => {
  const [origin, liar] = [await serving(t), await serving(t, { content: OTHER })];
  const open = opener(origin, [liar]);
  const first = await open(contextOf());
  assert.ok((await bytesOf(first)).equals(OTHER));
  assert.equal(first.disown?.('other bytes'), true);
  const second = await open(contextOf());
  assert.ok((await bytesOf(second)).equals(CONTENT));
  assert.equal(second.disown?.('other bytes'), false);
});

test('when every place has lied the next transfer asks them again', async (t) => {
  const liar = await serving(t, { content: OTHER });
  const open = opener(liar);
  const first = await open(contextOf());
  await bytesOf(first);
  assert.equal(first.disown?.('other bytes'), false);
  liar.behaviour.content = CONTENT;
  assert.ok((await bytesOf(await open(contextOf()))).equals(CONTENT));
});

test('a transfer that is ended for the failure of another one asks nobody, and warns of nobody', async (t) => {
  const [origin, mirror] = [await serving(t), await serving(t, { stallAfter: 10_000 })];
  const controller = new AbortController();
  const failure = new SmartVMError('the kernel broke', 'TRANSFER_TRUNCATED', { retryable: true });
  const context = contextOf(controller.signal);
  const stream = await opener(origin, [mirror])(context);
  const error = await rejection(
    (async () => {
      for await (const _ of stream) controller.abort(failure);
    })(),
  );
  assert.equal(error, failure);
  assert.deepEqual([context.warnings, context.events, origin.asked], [[], [], []]);
});

test('a stream that is given up while it asks the next place ends at once', { timeout: 10_000 }, async (t) => {
  const silent = await serve(t, () => undefined);
  const mirror = await serving(t, { cutAfter: 30_000 });
  const settings = { mirrors: [`${silent.origin}=${mirror.origin}`], limits: { retries: 0 } };
  const network = new Network({ allowHttp: [], ...settings });
  const stream = await remoteOpener({ url: `${silent.origin}/x`, sha256: SHA256 }, network)(contextOf());
  const iterator = stream[Symbol.asyncIterator]();
  const rest = (async () => {
    while ((await iterator.next()).done !== true);
  })();
  await until(async () => (await silent.connections()) === 1);
  await iterator.return?.();
  await rest;
  await until(async () => (await silent.connections()) === 0);
});

test('bytes without a digest never come from a mirror', async (t) => {
  const [origin, liar] = [await serving(t), await serving(t, { content: OTHER })];
  const stream = await opener(origin, [liar], {})(contextOf());
  assert.ok((await bytesOf(stream)).equals(CONTENT));
  assert.deepEqual(liar.asked, []);
});

test('when no place works the last failure is told', async (t) => {
  const [origin, mirror] = [await serving(t, { status: 403 }), await serving(t, { status: 404 })];
  const error = await rejection(opener(origin, [mirror])(contextOf()));
  assert.match(error.message, new RegExp(`${new URL(origin.origin).host}.*403`));
});

for (const [what, behaviour, object, servedAgain] of [
  ['by its ETag', {}, {}, ['bytes=START- "v1"']],
  ['by its digest where it has no ETag', { etag: '' }, { sha256: SHA256 }, ['bytes=START-']],
] as const) {
  test(`what a stream said of itself lets another one go on, ${what}`, async (t) => {
    const server = await serving(t, { cutAfter: 50_000, ...behaviour });
    const open = opener(server, [], object);
    const first = await open(contextOf());
    const kept = await begin(first, 1);
    Object.assign(server.behaviour, { cutAfter: Infinity });
    server.asked.length = 0;
    const second = await open(contextOf(), { start: kept.byteLength, validator: first.validator ?? '' });
    assert.equal(second.start, kept.byteLength);
    assert.ok(Buffer.concat([kept, await bytesOf(second)]).equals(CONTENT));
    assert.deepEqual(
      server.asked,
      servedAgain.map((line) => line.replace('START', String(kept.byteLength))),
    );
  });
}

for (const [what, change, object] of [
  ['is another object by its ETag', { etag: '"v2"' }, {}],
  ['is another object by its ETag, on a server that heeds no condition', { etag: '"v2"', ignoresConditions: true }, {}],
  ['is on a server that serves no parts any more', { servesRanges: false }, {}],
  ['is answered with another part', { shift: 1 }, {}],
  ['is another object by its size', { content: CONTENT.subarray(0, 60_000), etag: '"v1"' }, { bytes: 60_000 }],
  ['is shorter than what there was', { content: CONTENT.subarray(0, 10) }, {}],
  ['is a part of nobody knows how much', { hidesTotal: true, partBytes: 10_000 }, {}],
  ['is only a part of the rest', { partBytes: 10_000 }, {}],
] as const) {
  test(`a stream that ${what} begins again, and says so`, async (t) => {
    const server = await serving(t);
    const open = opener(server, [], object);
    const first = await opener(server, [], {})(contextOf());
    const kept = await begin(first, 1);
    Object.assign(server.behaviour, change);
    const again = await open(contextOf(), { start: kept.byteLength, validator: first.validator ?? '' });
    assert.equal(again.start, 0);
    assert.ok((await bytesOf(again)).equals(server.behaviour.content));
  });
}

test('a body of unknown length that breaks is not taken for whole after a part of its rest', async (t) => {
  const server = await serving(t, { hidesLength: true, cutAfter: 60_000, partBytes: 10_000 });
  const error = await rejection(opener(server, [], {})(contextOf()).then(bytesOf));
  assert.match(error.message, /after 60000 bytes/);
});

test('a note that nobody here has written does not keep an object from being asked for', async (t) => {
  const server = await serving(t);
  const validator = JSON.stringify({ url: `${server.origin}/x`, etag: '"v1"\r\nx: \u0394' });
  const stream = await opener(server, [], {})(contextOf(), { start: 10, validator });
  assert.equal(stream.start, 0);
  assert.ok((await bytesOf(stream)).equals(CONTENT));
});

test('an object with another ETag than was listed is not taken, also where the server heeds no condition', async (t) => {
  const server = await serving(t, { etag: '"v2"', ignoresConditions: true });
  const error = await rejection(opener(server, [], { etag: '"v1"' })(contextOf()));
  assert.equal(error.code, 'TRANSFER_CHANGED');
  assert.match(error.message, /"v2".*"v1"/);
});

for (const [what, behaviour] of [
  ['on a server that serves no parts', { servesRanges: false }],
  ['with neither ETag nor digest', { etag: '' }],
  ['with a weak ETag and no digest', { etag: 'W/"v1"' }],
] as const) {
  test(`a stream ${what} says nothing of itself: it cannot be continued`, async (t) => {
    const stream = await opener(await serving(t, behaviour), [], {})(contextOf());
    assert.equal(stream.validator, undefined);
    await begin(stream, 1);
  });
}

test('a server without parts gives a broken body again from its beginning, and what is known is skipped', async (t) => {
  const server = await serving(t, { servesRanges: false, cutAfter: 60_000 });
  const stream = await opener(server, [], {})(contextOf());
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) {
    chunks.push(chunk);
    server.behaviour.cutAfter = Infinity;
  }
  assert.ok(Buffer.concat(chunks).equals(CONTENT));
  assert.equal(server.sentBytes, 160_000);
});

test('every pause is told with the host, the try and how many there are', async (t) => {
  const server = await serving(t, { cutAfter: 60_000 });
  const context = contextOf();
  await bytesOf(await opener(server)(context));
  const { host } = new URL(server.origin);
  const retries = context.events.flatMap((event) => (event.phase === 'retry' ? [event] : []));
  assert.equal(retries.length, 1);
  for (const { source, attempt, maxAttempts, message, pauseMs } of retries) {
    assert.deepEqual([source, attempt, maxAttempts], [host, 2, 2]);
    assert.match(message, /after 60000 of 100000 bytes/);
    assert.ok(pauseMs > 0);
  }
});

test('several connections give one object in order, and no more of them are used than were allowed', async (t) => {
  const content = Buffer.alloc(40 * 1024 * 1024);
  for (let at = 0; at < content.byteLength; at += 4096) content.writeUInt32LE(at, at);
  const server = await serving(t, { content });
  const open = opener(server, [], { sha256: sha256Of(content), bytes: content.byteLength }, { connections: 4 });
  const stream = await open(contextOf());
  assert.equal(sha256Of(await bytesOf(stream)), sha256Of(content));
  assert.equal(server.asked.length, 5);
  assert.ok(server.mostAtOnce > 1 && server.mostAtOnce <= 4, `${server.mostAtOnce} at once`);
  await until(async () => (await server.connections()) === 0);
});

test('many connections are no reason for a warning of Node', async (t) => {
  const warnings: string[] = [];
  const note = ({ message }: Error): void => void warnings.push(message);
  process.on('warning', note);
  t.after(() => process.off('warning', note));
  const server = await serving(t, { content: Buffer.alloc(40 * 1024 * 1024) });
  await bytesOf(await opener(server, [], { sha256: SHA256 }, { connections: 20 })(contextOf()));
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(warnings, []);
});

test('artifacts share the connections that were allowed', async (t) => {
  const content = Buffer.alloc(20 * 1024 * 1024, 'content');
  const server = await serving(t, { content });
  const network = new Network({ allowHttp: [], connections: 3 });
  const open = remoteOpener({ url: `${server.origin}/x`, sha256: sha256Of(content) }, network);
  const all = await Promise.all([1, 2, 3, 4].map(async () => sha256Of(await bytesOf(await open(contextOf())))));
  assert.deepEqual(new Set(all), new Set([sha256Of(content)]));
  assert.ok(server.mostAtOnce <= 3, `${server.mostAtOnce} at once`);
});

for (const [what, behaviour] of [
  ['breaks', { cutAfter: 3_000_000 }],
  ['serves no parts', { servesRanges: false }],
  ['has no ETag', { etag: '' }],
  ['does not say the size of the whole', { hidesTotal: true }],
  ['sends less than it is asked for', { partBytes: 500_000 }],
] as const) {
  test(`several connections to a server that ${what} give the same bytes`, async (t) => {
    const content = Buffer.alloc(24 * 1024 * 1024, 'a part of it');
    const server = await serving(t, { content, ...behaviour });
    const open = opener(server, [], { sha256: sha256Of(content) }, { connections: 4, limits: { retries: 4 } });
    assert.equal(sha256Of(await bytesOf(await open(contextOf()))), sha256Of(content));
  });
}

test('an object of unknown size and without a digest comes whole over several connections', async (t) => {
  const content = Buffer.alloc(24 * 1024 * 1024, 'a part of it');
  for (const behaviour of [{}, { partBytes: 500_000 }, { servesRanges: false, hidesLength: true }]) {
    const server = await serving(t, { content, hidesTotal: true, ...behaviour });
    const stream = await opener(server, [], {}, { connections: 4 })(contextOf());
    assert.equal(sha256Of(await bytesOf(stream)), sha256Of(content));
  }
});

test('a part that is shorter than was asked for leaves no gap', async (t) => {
  const content = Buffer.alloc(24 * 1024 * 1024, 'a part of it');
  const server = await serving(t, { content });
  const stream = await opener(server, [], {}, { connections: 2 })(contextOf());
  const error = await rejection(
    (async () => {
      for await (const _ of stream) Object.assign(server.behaviour, { partBytes: 500_000, hidesTotal: true });
    })(),
  );
  assert.equal(error.code, 'TRANSFER_REFUSED');
});

test('what waits for its turn is never more than 32 MiB, however many connections there are', async (t) => {
  const server = await serving(t, { content: Buffer.alloc(80 * 1024 * 1024) });
  const stream = await opener(server, [], undefined, { connections: 64 })(contextOf());
  await until(() => server.asked.length >= 64);
  const ends = server.asked.map((range) => Number(/-(\d+)$/.exec(range)?.[1]) + 1);
  assert.ok(Math.max(...ends) <= 32 * 1024 * 1024, `${Math.max(...ends)} bytes`);
  await begin(stream, 1);
});

for (const ignoresConditions of [false, true])
  test(`an object that is replaced between two parts is never pieced together${ignoresConditions ? ', also where the server heeds no condition' : ''}`, async (t) => {
    const content = Buffer.alloc(32 * 1024 * 1024, 'first');
    const server = await serving(t, { content, ignoresConditions });
    const stream = await opener(server, [], { bytes: content.byteLength }, { connections: 2 })(contextOf());
    const error = await rejection(
      (async () => {
        for await (const _ of stream)
          Object.assign(server.behaviour, { content: Buffer.alloc(content.byteLength), etag: '"v2"' });
      })(),
    );
    assert.equal(error.code, ignoresConditions ? 'TRANSFER_CHANGED' : 'TRANSFER_STATUS');
    await until(async () => (await server.connections()) === 0);
  });

test('several connections end with a reader that leaves', async (t) => {
  const server = await serving(t, { content: Buffer.alloc(64 * 1024 * 1024) });
  const open = opener(server, [], { sha256: SHA256 }, { connections: 4 });
  for (const stallAfter of [100_000, Infinity]) {
    server.behaviour.stallAfter = stallAfter;
    await begin(await open(contextOf()), 1);
    await until(async () => (await server.connections()) === 0);
  }
});

test('a limit on the rate holds for all connections together', async (t) => {
  const content = Buffer.alloc(1_500_000);
  const server = await serving(t, { content });
  const settings = { connections: 4, bytesPerSecond: 2_000_000 };
  const open = opener(server, [], { sha256: sha256Of(content) }, settings);
  const startedMs = performance.now();
  await Promise.all([open, open].map(async (one) => bytesOf(await one(contextOf()))));
  const seconds = (performance.now() - startedMs) / 1000;
  assert.ok(seconds >= 1.3, `3 MB at 2 MB/s took ${seconds} s`);
});

test('a place in line is given back by whoever is aborted, fails, or leaves', async (t) => {
  const server = await serving(t, { content: Buffer.alloc(2_000_000) });
  const open = opener(server, [], { sha256: SHA256 }, { connections: 1 });
  const held = await open(contextOf());
  const controller = new AbortController();
  const waiting = open(contextOf(controller.signal));
  controller.abort(new Error('enough'));
  await assert.rejects(waiting, { message: 'enough' });
  server.behaviour.status = 404;
  const failing = rejection(open(contextOf()));
  await begin(held, 1);
  assert.match((await failing).message, /404/);
  server.behaviour.status = 200;
  await begin(await open(contextOf()), 1);
});
