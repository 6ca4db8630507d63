import assert from 'node:assert/strict';
import test from 'node:test';
import { DEFAULT_LIMITS } from '../../src/transfer/limits.ts';
import type { RetryNews } from '../../src/transfer/retry.ts';
import { getDocument, openStream } from '../../src/transfer/transfer.ts';
import { rejection } from '../support/rejection.ts';
import { bytesOf, network, serve, serveRaw, shortLimits } from './transfer.fixture.ts';

test('the limits have the documented defaults', () => {
  assert.deepEqual(DEFAULT_LIMITS, {
    connectTimeoutMs: 10_000,
    firstByteTimeoutMs: 15_000,
    idleTimeoutMs: 30_000,
    lowSpeedBytesPerSecond: 1000,
    lowSpeedMs: 30_000,
    maxRedirects: 5,
    retries: 4,
    maxRetryAfterMs: 60_000,
    maxDocumentBytes: 8 * 1024 * 1024,
  });
});

for (const [what, sent] of [
  ['nothing', ''],
  ['half a status line', 'HTTP/1.1 2'],
  ['half a head', 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n'],
] as const) {
  test(`a server that sends ${what} is given up after the time for the first byte`, async (t) => {
    const { origin } = await serveRaw(t, (socket) => void socket.write(sent));
    const error = await rejection(
      openStream(`${origin}/`, { network, limits: shortLimits({ firstByteTimeoutMs: 60 }) }),
    );
    assert.equal(error.code, 'TRANSFER_TIMEOUT');
    assert.match(error.message, /get an answer from 127\.0\.0\.1:\d+ within 0\.06 s/);
  });
}

test('a head that drips is given up all the same', async (t) => {
  const { origin } = await serveRaw(t, async (socket) => {
    for (const letter of 'HTTP/1.1 200 OK\r\nX: 12345678901234567890') {
      socket.write(letter);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  });
  const error = await rejection(
    openStream(`${origin}/`, { network, limits: shortLimits({ firstByteTimeoutMs: 100 }) }),
  );
  assert.equal(error.code, 'TRANSFER_TIMEOUT');
});

test('a body that stalls is given up after the idle time', async (t) => {
  const { origin } = await serveRaw(
    t,
    (socket) => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc'),
  );
  const { body } = await openStream(`${origin}/`, { network, limits: shortLimits({ idleTimeoutMs: 80 }) });
  const error = await rejection(bytesOf(body));
  assert.equal(error.code, 'TRANSFER_TIMEOUT');
  assert.match(error.message, /sent nothing for 0\.08 s/);
});

test('a stalled body is given up also where slowness is no reason', async (t) => {
  const { origin } = await serveRaw(
    t,
    (socket) => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc'),
  );
  const limits = shortLimits({ idleTimeoutMs: 150, lowSpeedMs: 40, lowSpeedBytesPerSecond: 0 });
  const { body } = await openStream(`${origin}/`, { network, limits });
  assert.match((await rejection(bytesOf(body))).message, /sent nothing/);
});

test('a body that drips is given up although every byte comes in time', async (t) => {
  const { origin } = await serveRaw(t, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n');
    const drip = setInterval(() => socket.write('x'), 10);
    socket.on('close', () => clearInterval(drip));
  });
  const { body } = await openStream(`${origin}/`, { network, limits: shortLimits({ lowSpeedMs: 200 }) });
  const error = await rejection(bytesOf(body));
  assert.equal(error.code, 'TRANSFER_TIMEOUT');
  assert.match(error.message, /bytes a second for 0\.2 s, less than 1000/);
});

for (const status of [408, 429, 500, 502, 503, 504]) {
  test(`status ${status} is tried again`, async (t) => {
    let asked = 0;
    const { origin } = await serve(t, (_, response) => {
      asked += 1;
      response.writeHead(asked === 1 ? status : 200).end('ok');
    });
    assert.equal((await bytesOf((await openStream(`${origin}/`, { network })).body)).toString(), 'ok');
    assert.equal(asked, 2);
  });
}

test('a host that never recovers is asked five times', async (t) => {
  let asked = 0;
  const { origin } = await serve(t, (_, response) => {
    asked += 1;
    response.writeHead(503).end();
  });
  const error = await rejection(getDocument(`${origin}/x`, { network }));
  assert.equal(error.code, 'TRANSFER_STATUS');
  assert.equal(error.retryable, true);
  assert.match(error.message, /\/x answered with status 503, after 5 tries$/);
  assert.equal(asked, 5);
});

for (const [what, ask] of [
  ['a stream', openStream],
  ['a document', getDocument],
] as const) {
  test(`every pause before another try is told, with the host that failed (${what})`, async (t) => {
    const behind = await serve(t, (_, response) => response.writeHead(503).end());
    const { origin } = await serve(t, (_, response) =>
      response.writeHead(302, { location: `${behind.origin}/x` }).end(),
    );
    const news: RetryNews[] = [];
    const options = { network, limits: shortLimits({ retries: 2 }), onRetry: (one: RetryNews) => news.push(one) };
    const error = await rejection(ask(`${origin}/`, options));
    assert.match(error.message, /after 3 tries$/);
    const expected = { source: new URL(behind.origin).host, message: `${behind.origin}/x answered with status 503` };
    assert.deepEqual(
      news.map(({ pauseMs: _, ...rest }) => rest),
      [2, 3].map((attempt) => ({ ...expected, attempt, maxAttempts: 3 })),
    );
    assert.ok(news.every(({ pauseMs }) => pauseMs >= 250 && pauseMs <= 1000));
  });
}

test('a failure that no other try would change says nothing of tries', async (t) => {
  let asked = 0;
  const { origin } = await serve(t, (_, response) => {
    asked += 1;
    response.writeHead(asked === 1 ? 503 : 404).end();
  });
  assert.match((await rejection(openStream(`${origin}/`, { network }))).message, /status 404$/);
  assert.equal(asked, 2);
});

test('a connection that is reset before the answer is tried again', async (t) => {
  const { origin } = await serveRaw(t, (socket, _, count) => {
    if (count === 0) socket.resetAndDestroy();
    else socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
  });
  assert.equal((await getDocument(`${origin}/`, { network })).body.toString(), 'ok');
});

test('a document that breaks is read from its beginning again', async (t) => {
  const { origin, requests } = await serveRaw(t, (socket, _, count) => {
    socket.end(`HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n${count === 0 ? 'who' : 'whole!'}`);
  });
  assert.equal((await getDocument(`${origin}/`, { network })).body.toString(), 'whole!');
  assert.equal(requests.length, 2);
});

test('Retry-After is waited for', async (t) => {
  const times: number[] = [];
  const { origin } = await serve(t, (_, response) => {
    times.push(performance.now());
    response.writeHead(times.length === 1 ? 429 : 200, { 'retry-after': '1' }).end('ok');
  });
  await getDocument(`${origin}/`, { network });
  assert.ok((times[1] ?? 0) - (times[0] ?? 0) >= 990);
});

for (const [what, retryAfter] of [
  ['an hour', '3600'],
  ['a year, as a date', new Date(Date.now() + 365 * 86_400_000).toUTCString()],
  ['10^9 seconds', '1000000000'],
  ['for ever', '9'.repeat(400)],
] as const) {
  test(`a host that asks to come back in ${what} is not waited for, and the error says so`, async (t) => {
    let asked = 0;
    const { origin } = await serve(t, (_, response) => {
      asked += 1;
      response.writeHead(503, { 'retry-after': retryAfter }).end();
    });
    const error = await rejection(getDocument(`${origin}/`, { network }));
    assert.equal(error.retryable, true);
    assert.match(error.message, /asks (?:to come back in \d+ s, at \d{4}-\d\d-\d\dT|not to come back)/);
    assert.equal(asked, 1);
  });
}

for (const retryAfter of ['-5', 'soon', '1e9', 'garbage 1', '']) {
  test(`a Retry-After of ${JSON.stringify(retryAfter)} is as good as none`, async (t) => {
    const times: number[] = [];
    const { origin } = await serve(t, (_, response) => {
      times.push(performance.now());
      response.writeHead(times.length === 1 ? 503 : 200, { 'retry-after': retryAfter }).end('ok');
    });
    await getDocument(`${origin}/`, { network });
    assert.ok((times[1] ?? 0) - (times[0] ?? 0) >= 200, 'a pause of our own');
  });
}

test('waiting for another try ends with the signal', async (t) => {
  const { origin } = await serve(t, (_, response) => response.writeHead(503, { 'retry-after': '30' }).end());
  const controller = new AbortController();
  setTimeout(() => controller.abort(), 50);
  await assert.rejects(getDocument(`${origin}/`, { network, signal: controller.signal }), { name: 'AbortError' });
});

test('a host that nobody listens on is TRANSFER_NETWORK with the cause', async (t) => {
  const gone = await serve(t, (_, response) => response.end());
  await gone.close();
  const error = await rejection(openStream(`${gone.origin}/`, { network, limits: { retries: 0 } }));
  assert.equal(error.code, 'TRANSFER_NETWORK');
  assert.match(error.message, /127\.0\.0\.1:\d+.*ECONNREFUSED/);
  assert.ok(error.cause instanceof Error);
});

test('a host that has no address is TRANSFER_NETWORK', async () => {
  const error = await rejection(openStream('https://no-such-host.invalid/', { network, limits: { retries: 0 } }));
  assert.equal(error.code, 'TRANSFER_NETWORK');
  assert.match(error.message, /no-such-host\.invalid/);
});

test('a document larger than it may be is refused, whether or not it says so', async (t) => {
  const { origin } = await serve(t, (request, response) => {
    if (request.url === '/says') response.setHeader('content-length', 101);
    response.write('x'.repeat(100));
    response.end('x');
  });
  for (const path of ['/says', '/does-not-say']) {
    const error = await rejection(getDocument(`${origin}${path}`, { network, maxBytes: 100 }));
    assert.equal(error.code, 'TRANSFER_TOO_LARGE');
    assert.match(error.message, /101 bytes or more, and at most 100/);
  }
  assert.equal((await getDocument(`${origin}/`, { network, maxBytes: 101 })).body.byteLength, 101);
});

test('an endless document is given up at its limit', async (t) => {
  const { origin } = await serve(t, (_, response) => {
    const pour = (): void => {
      while (!response.destroyed && response.write(Buffer.alloc(65_536)));
      if (!response.destroyed) response.once('drain', pour);
    };
    pour();
  });
  assert.equal((await rejection(getDocument(`${origin}/`, { network }))).code, 'TRANSFER_TOO_LARGE');
});
