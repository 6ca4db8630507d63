import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import test, { type TestContext } from 'node:test';
import { openStream } from '../../src/transfer/transfer.ts';
import { sha256Of } from '../support/images.ts';
import { rejection } from '../support/rejection.ts';
import { bytesOf, network, serve, serveRaw, shortLimits, until } from './transfer.fixture.ts';

const CONTENT = Buffer.from(Array.from({ length: 300_000 }, (_, index) => index % 253));
const HEAD = `HTTP/1.1 200 OK\r\nContent-Length: ${CONTENT.byteLength}\r\nETag: "e"\r\n\r\n`;

async function received(t: TestContext, send: (socket: Socket) => void | Promise<void>): Promise<Buffer> {
  const { origin, open } = await serveRaw(t, send);
  const { body } = await openStream(`${origin}/x`, { network, limits: shortLimits() });
  const bytes = await bytesOf(body);
  await until(() => open.size === 0);
  return bytes;
}

test('a body is the same however its head is cut into packets', async (t) => {
  for (const cut of [1, HEAD.length - 3, HEAD.length - 2, HEAD.length - 1, HEAD.length, HEAD.length + 1]) {
    const all = Buffer.concat([Buffer.from(HEAD), CONTENT]);
    const bytes = await received(t, (socket) => {
      socket.setNoDelay(true);
      socket.write(all.subarray(0, cut), () => setTimeout(() => socket.write(all.subarray(cut)), 10));
    });
    assert.ok(bytes.equals(CONTENT), `cut at ${cut}`);
  }
});

test('what is said before the answer is no part of the body', async (t) => {
  const hints = 'HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n';
  assert.ok(
    (await received(t, (socket) => void socket.write(Buffer.concat([Buffer.from(hints + HEAD), CONTENT])))).equals(
      CONTENT,
    ),
  );
  const apart = await received(t, (socket) => {
    socket.write(hints, () => setTimeout(() => socket.write(Buffer.concat([Buffer.from(HEAD), CONTENT])), 10));
  });
  assert.ok(apart.equals(CONTENT));
});

test('a body in chunks, and one that ends with its connection, come without their framing', async (t) => {
  const chunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';
  const size = CONTENT.byteLength.toString(16);
  const framed = [Buffer.from(`${chunked}${size}\r\n`), CONTENT, Buffer.from('\r\n0\r\n\r\n')];
  assert.ok((await received(t, (socket) => void socket.end(Buffer.concat(framed)))).equals(CONTENT));
  const unsized = Buffer.concat([Buffer.from('HTTP/1.1 200 OK\r\n\r\n'), CONTENT]);
  assert.ok((await received(t, (socket) => void socket.end(unsized))).equals(CONTENT));
});

test('an empty body ends at once, and what stands behind a body is nobody’s', async (t) => {
  assert.equal(
    (await received(t, (socket) => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'))).byteLength,
    0,
  );
  const longer = Buffer.concat([Buffer.from(HEAD), CONTENT, Buffer.from('HTTP/1.1 200 OK\r\n\r\nmore')]);
  assert.ok((await received(t, (socket) => void socket.write(longer))).equals(CONTENT));
});

test('an answer with two lengths, or with a length and chunks, is refused as node:http refuses it', async (t) => {
  for (const fields of ['Content-Length: 3\r\nContent-Length: 4', 'Content-Length: 3\r\nTransfer-Encoding: chunked']) {
    const { origin } = await serveRaw(t, (socket) => void socket.write(`HTTP/1.1 200 OK\r\n${fields}\r\n\r\nabc`));
    const error = await rejection(openStream(`${origin}/x`, { network, limits: shortLimits() }));
    assert.equal(error.code, 'TRANSFER_NETWORK');
    assert.match(error.message, /Parse Error/);
  }
});

test('a head without an end is not waited for longer than a first byte', async (t) => {
  const { origin, open } = await serveRaw(t, (socket) => void socket.write('HTTP/1.1 200 OK\r\nX: '));
  const error = await rejection(
    openStream(`${origin}/x`, { network, limits: shortLimits({ firstByteTimeoutMs: 100 }) }),
  );
  assert.equal(error.code, 'TRANSFER_TIMEOUT');
  await until(() => open.size === 0);
});

test('pieces that were given are not written to again', async (t) => {
  const large = Buffer.alloc(20 * 1024 * 1024);
  for (let at = 0; at < large.byteLength; at += 512) large.writeUInt32LE(at, at);
  const { origin } = await serve(t, (_, response) => response.setHeader('content-length', large.byteLength).end(large));
  const { body } = await openStream(`${origin}/x`, { network });
  const kept: Uint8Array[] = [];
  for await (const piece of body) {
    kept.push(piece);
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(sha256Of(Buffer.concat(kept)), sha256Of(large));
});

test('a reader that was aborted learns why, and its connection ends', async (t) => {
  const { origin, open } = await serveRaw(
    t,
    (socket) => void socket.write(Buffer.concat([Buffer.from(HEAD), CONTENT.subarray(0, 10)])),
  );
  const controller = new AbortController();
  const { body } = await openStream(`${origin}/x`, { network, signal: controller.signal });
  const reading = bytesOf(body);
  setTimeout(() => controller.abort(new Error('enough')), 20);
  await assert.rejects(reading, { message: 'enough' });
  await until(() => open.size === 0);
});
