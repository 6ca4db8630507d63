import assert from 'node:assert/strict';
import { Readable, pipeline } from 'node:stream';
import { gzipSync } from 'node:zlib';
import test from 'node:test';
import { openStream } from '../../src/transfer/transfer.ts';
import { rejection } from '../support/rejection.ts';
import { bytesOf, network, serve, serveRaw, shortLimits, until } from './transfer.fixture.ts';

test('an object is streamed with its size, its ETag and its final address', async (t) => {
  const { origin } = await serve(t, (_, response) =>
    response.setHeader('etag', '"e"').setHeader('content-length', 5).end('bytes'),
  );
  const { body, ...rest } = await openStream(`${origin}/x`, { network });
  assert.deepEqual(rest, {
    start: 0,
    bytes: 5,
    totalBytes: 5,
    etag: '"e"',
    servesRanges: false,
    finalUrl: `${origin}/x`,
  });
  assert.equal((await bytesOf(body)).toString(), 'bytes');
});

test('another size than expected is told before the first byte', async (t) => {
  const { origin, open } = await serveRaw(t, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n');
  });
  const small = await rejection(openStream(`${origin}/`, { network, expectedBytes: 1_000_001 }));
  assert.equal(small.code, 'TRANSFER_TRUNCATED');
  assert.match(small.message, /1000000 bytes, and 1000001 were expected/);
  const large = await rejection(openStream(`${origin}/`, { network, expectedBytes: 5 }));
  assert.equal(large.code, 'TRANSFER_TOO_LARGE');
  await until(() => open.size === 0);
});

for (const [what, head] of [
  ['with a Content-Length', 'Content-Length: 1000\r\n'],
  ['in chunks', 'Transfer-Encoding: chunked\r\n'],
] as const) {
  for (const how of ['end', 'reset'] as const) {
    test(`a body ${what} that is cut (${how}) is TRANSFER_TRUNCATED, and says how far it came`, async (t) => {
      const { origin } = await serveRaw(t, (socket) => {
        const part = what === 'in chunks' ? 'a\r\n0123456789\r\n5\r\n01' : '0123456789';
        socket.write(`HTTP/1.1 200 OK\r\n${head}\r\n${part}`, () => {
          setTimeout(() => (how === 'end' ? socket.end() : socket.resetAndDestroy()), 20);
        });
      });
      const { body } = await openStream(`${origin}/x`, { network, limits: shortLimits() });
      const error = await rejection(bytesOf(body));
      assert.equal(error.code, 'TRANSFER_TRUNCATED');
      assert.equal(error.retryable, true);
      assert.match(error.message, /127\.0\.0\.1.* after 1[02](?: of 1000)? bytes/);
    });
  }
}

test('a body that does not say its length is held against the expected one', async (t) => {
  const { origin } = await serveRaw(t, (socket) => void socket.end('HTTP/1.1 200 OK\r\n\r\n0123456789'));
  const limits = shortLimits();
  const cut = await openStream(`${origin}/`, { network, limits, expectedBytes: 11 });
  assert.equal((await rejection(bytesOf(cut.body))).code, 'TRANSFER_TRUNCATED');
  const long = await openStream(`${origin}/`, { network, limits, expectedBytes: 9 });
  assert.equal((await rejection(bytesOf(long.body))).code, 'TRANSFER_TOO_LARGE');
  const whole = await openStream(`${origin}/`, { network, limits, expectedBytes: 10 });
  assert.equal((await bytesOf(whole.body)).toString(), '0123456789');
});

test('a reader that takes its time leaves the rest with the server', async (t) => {
  const chunk = Buffer.alloc(64 * 1024);
  let sent = 0;
  const { origin } = await serve(t, (_, response) => {
    response.setHeader('content-length', 1024 * chunk.byteLength);
    const chunks = Readable.from(
      (function* () {
        for (; sent < 1024; sent += 1) yield chunk;
      })(),
    );
    pipeline(chunks, response, () => undefined);
  });
  const { body } = await openStream(`${origin}/`, { network });
  await body.next();
  let before = -1;
  await until(async () => {
    const isAtRest = before === sent;
    before = sent;
    await new Promise((resolve) => setTimeout(resolve, 50));
    return isAtRest;
  });
  assert.ok(sent < 700, `${sent} of 1024 chunks were sent`);
  await body.return?.();
});

test('bytes beyond the Content-Length never reach the reader', async (t) => {
  const { origin } = await serveRaw(
    t,
    (socket) => void socket.end('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef'),
  );
  const { body } = await openStream(`${origin}/`, { network, limits: shortLimits() });
  const got = await bytesOf(body).catch((error: unknown) => (error as { code: string }).code);
  assert.ok(['abc', 'TRANSFER_TRUNCATED'].includes(String(got)), String(got));
});

test('an encoded body is refused and not inflated', async (t) => {
  const { origin } = await serve(t, (_, response) => {
    response.setHeader('content-encoding', 'gzip').end(gzipSync(Buffer.alloc(1024 * 1024)));
  });
  const error = await rejection(openStream(`${origin}/`, { network }));
  assert.equal(error.code, 'TRANSFER_REFUSED');
  assert.match(error.message, /Content-Encoding "gzip"/);
});

for (const status of [204, 206, 300, 304, 401, 403, 404, 410, 416, 451]) {
  test(`status ${status} is no object, and is not tried again`, async (t) => {
    let asked = 0;
    const { origin } = await serve(t, (_, response) => {
      asked += 1;
      response.writeHead(status).end();
    });
    const error = await rejection(openStream(`${origin}/x`, { network }));
    assert.equal(error.code, 'TRANSFER_STATUS');
    assert.match(error.message, new RegExp(`${origin}/x answered with status ${status}`));
    assert.equal(error.retryable, false);
    assert.equal(asked, 1);
  });
}

test('an object that no longer has the ETag is refused at once', async (t) => {
  let asked = 0;
  const { origin } = await serve(t, (request, response) => {
    asked += 1;
    response.writeHead(request.headers['if-match'] === '"new"' ? 200 : 412).end('x');
  });
  const error = await rejection(openStream(`${origin}/`, { network, ifMatch: '"old"' }));
  assert.match(error.message, /412/);
  assert.equal(error.retryable, true, 'who looks it up again may get it');
  assert.equal(asked, 1, 'the same question has the same answer');
  await bytesOf((await openStream(`${origin}/`, { network, ifMatch: '"new"' })).body);
});

for (const [what, head] of [
  ['the whole', 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n'],
  ['another start', 'HTTP/1.1 206 P\r\nContent-Range: bytes 0-1/9\r\nContent-Length: 2\r\n'],
  ['an earlier start', 'HTTP/1.1 206 P\r\nContent-Range: bytes 0-2/9\r\nContent-Length: 3\r\n'],
  ['more, of nobody knows how much', 'HTTP/1.1 206 P\r\nContent-Range: bytes 1-4/*\r\nContent-Length: 4\r\n'],
  ['another end', 'HTTP/1.1 206 P\r\nContent-Range: bytes 1-4/9\r\nContent-Length: 4\r\n'],
  ['too little', 'HTTP/1.1 206 P\r\nContent-Range: bytes 1-1/9\r\nContent-Length: 1\r\n'],
  ['another length than its range', 'HTTP/1.1 206 P\r\nContent-Range: bytes 1-2/9\r\nContent-Length: 4\r\n'],
  ['no range', 'HTTP/1.1 206 P\r\nContent-Length: 2\r\n'],
  ['nonsense', 'HTTP/1.1 206 P\r\nContent-Range: bytes one-two/9\r\nContent-Length: 2\r\n'],
] as const) {
  test(`a server that answers a range with ${what} is refused`, async (t) => {
    const { origin } = await serveRaw(t, (socket) => void socket.end(`${head}\r\nabcd`));
    const error = await rejection(
      openStream(`${origin}/`, { network, limits: shortLimits(), range: { start: 1, end: 3 } }),
    );
    assert.equal(error.code, 'TRANSFER_REFUSED');
    assert.match(error.message, /bytes from 1 to 3/);
  });
}

test('a range of an object with another size than expected is refused', async (t) => {
  const { origin } = await serve(t, (_, response) =>
    response.writeHead(206, { 'content-range': 'bytes 1-2/8' }).end('bc'),
  );
  const range = { start: 1, end: 3 };
  const error = await rejection(openStream(`${origin}/`, { network, range, expectedBytes: 9 }));
  assert.equal(error.code, 'TRANSFER_TRUNCATED');
  const { body } = await openStream(`${origin}/`, { network, range, expectedBytes: 8 });
  assert.equal((await bytesOf(body)).toString(), 'bc');
});

for (const [what, bytes] of [
  ['garbage', 'not http at all\r\n\r\n'],
  ['nothing', ''],
  ['a megabyte of headers', `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(1024 * 1024)}\r\n\r\n`],
  ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab'],
  ['a length and chunks', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
  ['a negative length', 'HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nab'],
] as const) {
  test(`${what} instead of an answer is one typed error`, async (t) => {
    const { origin } = await serveRaw(t, (socket) => void socket.end(bytes));
    const error = await rejection(
      openStream(`${origin}/`, { network, limits: shortLimits() }).then(({ body }) => bytesOf(body)),
    );
    assert.ok(['TRANSFER_NETWORK', 'TRANSFER_TRUNCATED'].includes(error.code), error.code);
    assert.match(error.message, /127\.0\.0\.1/);
  });
}

test('a host that answers with another protocol is told by its status', { timeout: 10_000 }, async (t) => {
  const { origin, open } = await serveRaw(t, (socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n');
  });
  const error = await rejection(openStream(`${origin}/`, { network, limits: shortLimits() }));
  assert.equal(error.code, 'TRANSFER_STATUS');
  assert.match(error.message, /status 101/);
  await until(() => open.size === 0);
});

test('a connection ends when its reader stops early', async (t) => {
  const { origin, open } = await serveRaw(t, (socket) => {
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n${'x'.repeat(1000)}`);
  });
  const { body } = await openStream(`${origin}/`, { network });
  for await (const chunk of body) {
    assert.ok(chunk.byteLength > 0);
    break;
  }
  await until(() => open.size === 0);
});

test('a connection ends when nobody ever read and the stream is given up', async (t) => {
  const { origin, open } = await serveRaw(t, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nx');
  });
  const { body } = await openStream(`${origin}/`, { network });
  assert.equal(open.size, 1);
  await body.return?.();
  await until(() => open.size === 0);
  assert.deepEqual(await body.next(), { done: true, value: undefined });
});

test('a connection that breaks before anybody reads is told when somebody does', async (t) => {
  const { origin, open } = await serveRaw(t, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nx', () =>
      setTimeout(() => socket.resetAndDestroy(), 10),
    );
  });
  const { body } = await openStream(`${origin}/`, { network, limits: shortLimits() });
  await until(() => open.size === 0);
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal((await rejection(bytesOf(body))).code, 'TRANSFER_TRUNCATED');
});

test('a cancelled call rejects with the reason of its signal: before, while waiting, and while reading', async (t) => {
  const { origin, open } = await serveRaw(t, (socket, head) => {
    if (head.startsWith('GET /stall')) return;
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nx');
  });
  const isAbort = { name: 'AbortError' };
  await assert.rejects(openStream(`${origin}/`, { network, signal: AbortSignal.abort() }), isAbort);
  const waiting = new AbortController();
  const opened = openStream(`${origin}/stall`, { network, signal: waiting.signal });
  setTimeout(() => waiting.abort(), 30);
  await assert.rejects(opened, isAbort);
  const reading = new AbortController();
  const { body } = await openStream(`${origin}/`, { network, signal: reading.signal });
  setTimeout(() => reading.abort(), 30);
  await assert.rejects(bytesOf(body), isAbort);
  await until(() => open.size === 0);
});

test('a large body arrives whole through a slow reader', async (t) => {
  const content = Buffer.alloc(8 * 1024 * 1024, 'abcdefg');
  const { origin } = await serve(t, (_, response) => response.end(content));
  const { body } = await openStream(`${origin}/`, { network, limits: { idleTimeoutMs: 50, lowSpeedMs: 50 } });
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) {
    if (chunks.length % 40 === 0) await new Promise((resolve) => setTimeout(resolve, 80));
    chunks.push(chunk);
  }
  assert.ok(Buffer.concat(chunks).equals(content));
});
