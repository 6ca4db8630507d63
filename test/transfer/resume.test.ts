import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import test, { type TestContext } from 'node:test';
import type { HttpServer } from '../support/http-server.ts';
import { openStream } from '../../src/transfer/transfer.ts';
import { rejection } from '../support/rejection.ts';
import { bytesOf, network, serve, until } from './transfer.fixture.ts';

const CONTENT = Buffer.from(Array.from({ length: 100_000 }, (_, index) => index % 251));

test('a body that breaks goes on where it broke', async (t) => {
  const { origin, asked } = await cutting(t, { cutAfter: 30_000 });
  const { body } = await openStream(`${origin}/`, { network });
  assert.ok((await bytesOf(body)).equals(CONTENT));
  assert.deepEqual(asked, ['', 'bytes=30000- "v1"', 'bytes=60000- "v1"', 'bytes=90000- "v1"']);
});

test('a range that breaks goes on inside the range', async (t) => {
  const { origin, asked } = await cutting(t, { cutAfter: 30_000 });
  const { body } = await openStream(`${origin}/`, { network, range: { start: 10, end: 50_000 } });
  assert.ok((await bytesOf(body)).equals(CONTENT.subarray(10, 50_000)));
  assert.deepEqual(asked, ['bytes=10-49999', 'bytes=30010-49999 "v1"']);
});

for (const [what, change] of [
  ['has no strong ETag', { etag: 'W/"v1"' }],
  ['has no ETag', { etag: '' }],
  ['was replaced meanwhile', { later: '"v2"' }],
  ['comes from a server without ranges', { ranges: false }],
  ['comes from a server that sends another range', { shift: 1 }],
] as const) {
  test(`a body that breaks and ${what} is not pieced together`, async (t) => {
    const { origin } = await cutting(t, { cutAfter: 30_000, ...change });
    const { body } = await openStream(`${origin}/`, { network });
    const error = await rejection(bytesOf(body));
    assert.equal(error.code, 'TRANSFER_TRUNCATED');
    assert.match(error.message, /after 30000 of 100000 bytes/);
  });
}

test('a body that is given up while it waits for its next try ends at once', { timeout: 10_000 }, async (t) => {
  let isBroken = false;
  const { origin } = await serve(t, (_, response) => {
    if (isBroken) response.writeHead(503, { 'retry-after': '30' }).end();
    else response.writeHead(200, { etag: '"v1"', 'content-length': 10 }).write('12345', () => response.destroy());
    isBroken = true;
  });
  const pauses: number[] = [];
  const onRetry = ({ pauseMs }: { readonly pauseMs: number }): void => void pauses.push(pauseMs);
  const { body } = await openStream(`${origin}/`, { network, onRetry });
  const rest = bytesOf(body).catch(() => undefined);
  await until(() => pauses.some((pauseMs) => pauseMs >= 30_000));
  await body.return?.();
  await rest;
});

test('a body that breaks again and again without getting anywhere is given up', async (t) => {
  const { origin, asked } = await cutting(t, { cutAfter: 10 });
  const { body } = await openStream(`${origin}/`, { network, limits: { retries: 2 } });
  assert.match((await rejection(bytesOf(body))).message, /after 30 of 100000/);
  assert.equal(asked.length, 3);
});

interface Behaviour {
  readonly cutAfter: number;
  readonly etag?: string;
  /** The ETag from the second request on. */
  readonly later?: string;
  readonly ranges?: boolean;
  readonly shift?: number;
}

/** Serves CONTENT and cuts every answer after some bytes; keeps `Range` and `If-Range` of every request. */
async function cutting(
  t: TestContext,
  { cutAfter, etag = '"v1"', later = etag, ranges = true, shift = 0 }: Behaviour,
): Promise<HttpServer & { readonly asked: string[] }> {
  const asked: string[] = [];
  const server = await serve(t, (request: IncomingMessage, response: ServerResponse) => {
    const { range, 'if-range': ifRange } = request.headers;
    asked.push([range, ifRange].filter((one) => one !== undefined).join(' '));
    const now = asked.length === 1 ? etag : later;
    if (now !== '') response.setHeader('etag', now);
    const found = /^bytes=(\d+)-(\d*)$/.exec(range ?? '');
    const isPart = ranges && found !== null && (ifRange === undefined || ifRange === now);
    const start = isPart ? Number(found[1]) + (asked.length === 1 ? 0 : shift) : 0;
    const end = isPart && found[2] ? Number(found[2]) + 1 : CONTENT.byteLength;
    response.setHeader('content-length', end - start);
    if (isPart) response.writeHead(206, { 'content-range': `bytes ${start}-${end - 1}/${CONTENT.byteLength}` });
    const stop = Math.min(end, start + cutAfter);
    response.write(CONTENT.subarray(start, stop), () => {
      if (stop === end) response.end();
      else setTimeout(() => response.destroy(), 20);
    });
  });
  return { ...server, asked };
}
