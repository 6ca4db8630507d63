import assert from 'node:assert/strict';
import test from 'node:test';
import { Connections } from '../../src/transfer/connections.ts';
import { Network } from '../../src/transfer/network.ts';
import { getDocument, openStream } from '../../src/transfer/transfer.ts';
import { rejection } from '../support/rejection.ts';
import {
  authority,
  bytesOf,
  network,
  proxied,
  serve,
  serveRaw,
  serveTls,
  shortLimits,
  until,
} from './transfer.fixture.ts';

const ca = await authority();
const limits = shortLimits();
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

test('requests one after the other share a connection, and closing ends it', async (t) => {
  const connections = new Connections();
  const { origin, open, requests } = await serveRaw(t, (socket) => void socket.write(OK));
  for (let count = 1; count <= 3; count += 1) {
    assert.equal((await getDocument(`${origin}/${count}`, { network, connections })).body.toString(), 'ok');
    assert.equal(open.size, 1);
  }
  assert.equal(requests.length, 3);
  assert.match(requests[0] ?? '', /Connection: keep-alive/i);
  connections.close();
  await until(() => open.size === 0);
});

test('without them every request has a connection of its own', async (t) => {
  const ports = new Set<number | undefined>();
  const { origin } = await serve(t, (request, response) => {
    ports.add(request.socket.remotePort);
    response.end('ok');
  });
  for (let count = 1; count <= 3; count += 1) await getDocument(origin, { network });
  assert.equal(ports.size, 3);
});

for (const scheme of ['https', 'http'] as const) {
  test(`connections through a proxy are shared too (${scheme}:), by one origin`, async (t) => {
    const connections = new Connections();
    t.after(() => connections.close());
    const targets = new Set<number | undefined>();
    const certificate = await ca.issue('images.test');
    const { port } =
      scheme === 'https'
        ? await serveTls(t, certificate, (request, response) => {
            targets.add(request.socket.remotePort);
            response.end('ok');
          })
        : await serve(t, (_, response) => response.end('ok'));
    const proxy = await proxied(t, { to: port });
    const through = new Network({
      allowHttp: ['http://images.test', 'http://other.test'],
      env: { ALL_PROXY: proxy.url, SSL_CERT_FILE: ca.path },
    });
    for (const path of ['/1', '/2', '/3']) {
      await getDocument(`${scheme}://images.test${path}`, { network: through, connections });
    }
    assert.equal(proxy.open.size, 1);
    if (scheme === 'https') {
      assert.deepEqual(proxy.asked, ['CONNECT images.test:443']);
      assert.equal(targets.size, 1);
    } else {
      await getDocument('http://other.test/', { network: through, connections });
      assert.equal(proxy.open.size, 2);
    }
  });
}

test('a body that was given up takes its connection with it', async (t) => {
  const connections = new Connections();
  t.after(() => connections.close());
  const { origin, open, requests } = await serveRaw(t, (socket, head) => {
    socket.write(
      head.startsWith('GET /small') ? OK : `HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n${'x'.repeat(1000)}`,
    );
  });
  const { body } = await openStream(`${origin}/large`, { network, connections });
  await body.next();
  const first = [...open][0];
  await body.return?.();
  await until(() => open.size === 0);
  assert.equal((await getDocument(`${origin}/small`, { network, connections })).body.toString(), 'ok');
  assert.equal(open.size, 1);
  assert.notEqual([...open][0], first);
  assert.equal(requests.length, 2);
});

test('when all kept connections were closed by the server, one new one does', async (t) => {
  const connections = new Connections();
  t.after(() => connections.close());
  const old = new Set<unknown>();
  const { origin, requests } = await serveRaw(t, (socket, head) => {
    if (old.has(socket)) socket.resetAndDestroy();
    else if (head.startsWith('GET /both')) {
      old.add(socket);
      if (old.size === 2) for (const one of [...old] as (typeof socket)[]) one.write(OK);
    } else socket.write(OK);
  });
  await Promise.all(['/both1', '/both2'].map((path) => getDocument(origin + path, { network, connections, limits })));
  assert.equal((await getDocument(`${origin}/x`, { network, connections, limits })).body.toString(), 'ok');
  assert.equal(requests.length, 4);
});

for (const [what, answer] of [
  ['a new connection that breaks', undefined],
  ['a kept connection that breaks in the middle of an answer', 'HTTP/1.1 200 OK\r\nContent-'],
] as const) {
  test(`${what} counts as a try`, async (t) => {
    const connections = new Connections();
    t.after(() => connections.close());
    const { origin, requests } = await serveRaw(t, (socket, _, count) => {
      if (answer !== undefined && count === 0) socket.write(OK);
      else if (answer === undefined) socket.resetAndDestroy();
      else socket.write(answer, () => socket.destroy());
    });
    if (answer !== undefined) await getDocument(`${origin}/`, { network, connections, limits });
    const before = requests.length;
    const error = await rejection(openStream(`${origin}/`, { network, connections, limits }));
    assert.equal(error.code, 'TRANSFER_NETWORK');
    assert.equal(requests.length, before + 1);
  });
}

test('a connection that was replaced once and breaks again is a failure', async (t) => {
  const connections = new Connections();
  t.after(() => connections.close());
  const { origin, requests } = await serveRaw(t, (socket, _, count) => {
    if (count === 0) socket.write(OK);
    else socket.resetAndDestroy();
  });
  await getDocument(`${origin}/`, { network, connections, limits });
  assert.equal((await rejection(openStream(`${origin}/`, { network, connections, limits }))).code, 'TRANSFER_NETWORK');
  assert.equal(requests.length, 3);
});

test('the time for the first byte holds on a kept connection too', async (t) => {
  const connections = new Connections();
  t.after(() => connections.close());
  const { origin } = await serveRaw(t, (socket, _, count) => {
    if (count === 0) socket.write(OK);
  });
  await getDocument(`${origin}/`, { network, connections });
  const error = await rejection(
    openStream(`${origin}/`, { network, connections, limits: { ...limits, firstByteTimeoutMs: 60 } }),
  );
  assert.equal(error.code, 'TRANSFER_TIMEOUT');
  assert.match(error.message, /get an answer from .* within 0\.06 s/);
});

test('a connection that is being opened when they are closed does not stay', async (t) => {
  const connections = new Connections();
  let answerNow = (): void => undefined;
  const opensAfter = new Promise<void>((resolve) => (answerNow = resolve));
  const { port, open } = await serveTls(t, await ca.issue('images.test'), (_, response) => response.end('ok'));
  const proxy = await proxied(t, { to: port, opensAfter });
  const through = new Network({ allowHttp: [], env: { HTTPS_PROXY: proxy.url, SSL_CERT_FILE: ca.path } });
  const document = getDocument('https://images.test/', { network: through, connections });
  await until(() => proxy.asked.length === 1);
  connections.close();
  answerNow();
  assert.equal((await document).body.toString(), 'ok');
  await until(() => open.size === 0 && proxy.open.size === 0);
});

test('a request that comes after they were closed has a connection of its own', async (t) => {
  const connections = new Connections();
  const { origin, open } = await serveRaw(t, (socket) => void socket.write(OK));
  const answer = openStream(`${origin}/`, { network, connections, limits });
  connections.close();
  const { body } = await answer;
  assert.equal((await bytesOf(body)).toString(), 'ok');
  await until(() => open.size === 0);
});

test('a body that is read slowly to its end gives its connection back', async (t) => {
  const connections = new Connections();
  t.after(() => connections.close());
  const content = Buffer.alloc(3 * 1024 * 1024, 'abc');
  const ports = new Set<number | undefined>();
  const { origin } = await serve(t, (request, response) => {
    ports.add(request.socket.remotePort);
    response.end(content);
  });
  for (let count = 1; count <= 3; count += 1) {
    const { body } = await openStream(`${origin}/${count}`, { network, connections });
    let bytes = 0;
    for await (const chunk of body) {
      bytes += chunk.byteLength;
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal(bytes, content.byteLength);
  }
  assert.equal(ports.size, 1);
});

test('connections that are kept no longer end when they are free; those in use go on', async (t) => {
  const connections = new Connections();
  const content = Buffer.alloc(3 * 1024 * 1024, 'abc');
  const server = await serve(t, (_, response) => response.end(content));
  await getDocument(`${server.origin}/free`, { network, connections });
  const { body } = await openStream(`${server.origin}/used`, { network, connections });
  await getDocument(`${server.origin}/free`, { network, connections });
  assert.equal(await server.connections(), 2);
  connections.keepNone();
  await until(async () => (await server.connections()) === 1);
  assert.equal((await bytesOf(body)).byteLength, content.byteLength);
  await until(async () => (await server.connections()) === 0);
});
