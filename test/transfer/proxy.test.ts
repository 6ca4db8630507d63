import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { DEFAULT_LIMITS } from '../../src/transfer/limits.ts';
import { Network } from '../../src/transfer/network.ts';
import { getDocument, openStream } from '../../src/transfer/transfer.ts';
import { rejection } from '../support/rejection.ts';
import {
  authority,
  everythingOf,
  proxied,
  serve,
  serveRaw,
  serveTls,
  shortLimits,
  sni,
  socks,
  until,
} from './transfer.fixture.ts';

const ca = await authority();
const allowHttp = ['http://images.test'];
const limits = shortLimits();

/** A network with these variables, which believes the test's authority. */
function networkWith(env: Record<string, string>): Network {
  return new Network({ allowHttp, env: { SSL_CERT_FILE: ca.path, ...env } });
}

/** `images.test` over TLS: answers with what it was asked. */
async function tlsImages(t: TestContext) {
  return await serveTls(t, await ca.issue('images.test'), (request, response) =>
    response.end(`${request.headers.host ?? ''} ${request.url ?? ''}`),
  );
}

test('https: goes through HTTPS_PROXY as a tunnel, and the proxy sees nothing but the name', async (t) => {
  const { port } = await tlsImages(t);
  const proxy = await proxied(t, { to: port });
  const { body } = await getDocument('https://images.test/x?y', { network: networkWith({ HTTPS_PROXY: proxy.url }) });
  assert.equal(body.toString(), 'images.test /x?y');
  assert.deepEqual(proxy.asked, ['CONNECT images.test:443']);
  await until(() => proxy.open.size === 0);
});

test('http: goes through HTTP_PROXY in absolute form', async (t) => {
  const { port } = await serve(t, (request, response) =>
    response.end(JSON.stringify([request.headers.host, request.url, request.headers['proxy-authorization']])),
  );
  const proxy = await proxied(t, { to: port, auth: 'me:pass' });
  const network = networkWith({ HTTP_PROXY: proxy.url.replace('//', '//me:pass@') });
  const { body } = await getDocument('http://images.test/x?y#z', { network });
  assert.equal(body.toString(), '["images.test","/x?y",null]');
  assert.deepEqual(proxy.asked, ['GET http://images.test/x?y']);
});

test('a proxy that is spoken to over TLS is believed by its certificate', async (t) => {
  const { port } = await tlsImages(t);
  const proxy = await proxied(t, { to: port, certificate: await ca.issue('127.0.0.1') });
  const { body } = await getDocument('https://images.test/', { network: networkWith({ HTTPS_PROXY: proxy.url }) });
  assert.equal(body.toString(), 'images.test /');
  const network = new Network({ allowHttp, env: { HTTPS_PROXY: proxy.url } });
  const error = await rejection(getDocument('https://images.test/', { network }));
  assert.equal(error.code, 'TRANSFER_NETWORK');
  assert.match(error.message, /the proxy 127\.0\.0\.1:\d+ \(HTTPS_PROXY\) for images\.test/);
  assert.match(error.hint ?? '', /NODE_EXTRA_CA_CERTS/);
});

for (const [scheme, host] of [
  ['socks5h', 'images.test'],
  ['socks4a', 'images.test'],
  ['socks5', '93.184.216.34'],
  ['socks4', '93.184.216.34'],
  ['socks5h', '93.184.216.34'],
] as const) {
  test(`${scheme}: is asked for ${host}`, async (t) => {
    const { port } = await serveTls(t, await ca.issue(host), (_, response) => response.end('through socks'));
    const server = await socks(t, { to: port });
    const network = networkWith({ ALL_PROXY: `${scheme}://127.0.0.1:${server.port}` });
    assert.equal((await getDocument(`https://${host}/`, { network })).body.toString(), 'through socks');
    assert.deepEqual(server.asked, [`${host}:443`]);
    await until(() => server.open.size === 0);
  });
}

for (const scheme of ['socks5', 'socks4']) {
  test(`${scheme}: is not asked for a name that has no address here`, async (t) => {
    const server = await socks(t, { to: 1 });
    const network = networkWith({ ALL_PROXY: `${scheme}://127.0.0.1:${server.port}` });
    const error = await rejection(getDocument('https://no-such-host.invalid/', { network, limits }));
    assert.equal(error.code, 'TRANSFER_NETWORK');
    assert.match(error.message, /Failed to reach no-such-host\.invalid/);
    assert.deepEqual(server.asked, []);
  });
}

test('http: goes through a SOCKS proxy too, with user and password', async (t) => {
  const { port } = await serve(t, (_, response) => response.end('plain'));
  const server = await socks(t, { to: port, auth: 'me:pass' });
  const network = networkWith({ all_proxy: `socks5h://me:pass@127.0.0.1:${server.port}` });
  assert.equal((await getDocument('http://images.test/', { network })).body.toString(), 'plain');
  assert.deepEqual(server.asked, ['images.test:80']);
});

test('this machine and what NO_PROXY excepts are asked directly', async (t) => {
  const { origin } = await serve(t, (_, response) => response.end('direct'));
  const proxy = await proxied(t, { to: 1 });
  const env = { HTTP_PROXY: proxy.url, HTTPS_PROXY: proxy.url, NO_PROXY: 'no-such-host.invalid' };
  assert.equal((await getDocument(origin, { network: networkWith(env) })).body.toString(), 'direct');
  const network = networkWith(env);
  const error = await rejection(getDocument('https://no-such-host.invalid/', { network, limits }));
  assert.match(error.message, /Failed to reach no-such-host\.invalid: /);
  assert.deepEqual(proxy.asked, []);
});

test('every hop has its own way: a redirect from a proxied host to this machine is refused, to another host is proxied', async (t) => {
  let location = 'https://mirror.test/y';
  const names = await ca.issue('images.test');
  const mirror = await ca.issue('mirror.test');
  const { port } = await serveTls(t, { ...names, SNICallback: sni({ 'mirror.test': mirror }) }, (request, response) => {
    if (request.url === '/y') response.end(`at ${request.headers.host ?? ''}`);
    else response.writeHead(302, { location }).end();
  });
  const proxy = await proxied(t, { to: port });
  const network = networkWith({ HTTPS_PROXY: proxy.url });
  assert.equal((await getDocument('https://images.test/', { network })).body.toString(), 'at mirror.test');
  assert.deepEqual(proxy.asked, ['CONNECT images.test:443', 'CONNECT mirror.test:443']);
  for (location of [
    'https://127.0.0.1/',
    'https://localhost./',
    'https://10.0.0.1/',
    'https://169.254.169.254/latest/',
    'https://[::ffff:10.0.0.1]/',
    'https://0x7f.1/',
    'https://167772161/',
    'https://[fd00::1]/',
  ]) {
    const error = await rejection(getDocument('https://images.test/', { network, limits }));
    assert.equal(error.code, 'TRANSFER_REFUSED', location);
    assert.match(error.message, /images\.test, a public host, redirects to a private address/);
  }
  assert.ok(
    proxy.asked.every((one) => /^CONNECT (?:images|mirror)\.test:443$/.test(one)),
    proxy.asked.join(),
  );
});

for (const [status, code, hint, retryable] of [
  [407, 'TRANSFER_STATUS', /HTTPS_PROXY the user and the password.*http:\/\/user:password@127\.0\.0\.1/, false],
  [403, 'TRANSFER_STATUS', /NO_PROXY/, false],
  [502, 'TRANSFER_STATUS', /NO_PROXY/, true],
  [503, 'TRANSFER_STATUS', /NO_PROXY/, true],
] as const) {
  test(`a proxy that answers CONNECT with ${status} is named, with its variable`, async (t) => {
    const proxy = await proxied(t, { to: 1, answersConnect: `HTTP/1.1 ${status} No\r\nContent-Length: 3\r\n\r\nno!` });
    const network = networkWith({ HTTPS_PROXY: proxy.url.replace('//', '//me:hunter2@') });
    const error = await rejection(getDocument('https://images.test/x?token=hunter2', { network, limits }));
    assert.equal(error.code, code);
    assert.equal(error.retryable, retryable);
    const { port } = new URL(proxy.url);
    assert.equal(
      error.message,
      `The proxy 127.0.0.1:${port} (HTTPS_PROXY), asked for https://images.test/x, answered with status ${status}`,
    );
    assert.match(error.hint ?? '', hint);
    assert.doesNotMatch(everythingOf(error), /hunter2|aHVudGVyMg|bWU6aHVudGVyMg/);
    await until(() => proxy.open.size === 0);
  });
}

test('a proxy that wants a user for http: is named too', async (t) => {
  const proxy = await proxied(t, { to: 1, auth: 'me:pass' });
  const network = networkWith({ HTTP_PROXY: proxy.url.replace('//', '//me:hunter2@') });
  const error = await rejection(getDocument('http://images.test/', { network, limits }));
  assert.match(error.message, /^The proxy 127\.0\.0\.1:\d+ \(HTTP_PROXY\), asked for .*status 407$/);
  assert.doesNotMatch(everythingOf(error), /hunter2/);
});

test('a status that comes through a proxy for http: names the proxy, since it may be its own', async (t) => {
  const { port } = await serve(t, (_, response) => response.writeHead(404).end());
  const proxy = await proxied(t, { to: port });
  const error = await rejection(
    getDocument('http://images.test/', { network: networkWith({ HTTP_PROXY: proxy.url }) }),
  );
  assert.match(
    error.message,
    /images\.test\/, through the proxy 127\.0\.0\.1:\d+ \(HTTP_PROXY\), answered with status 404/,
  );
});

for (const [what, answersConnect] of [
  ['garbage', 'who are you?\r\n\r\n'],
  ['a megabyte of headers', `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(1024 * 1024)}\r\n\r\n`],
] as const) {
  test(`a proxy that answers CONNECT with ${what} is TRANSFER_NETWORK`, async (t) => {
    const proxy = await proxied(t, { to: 1, answersConnect });
    const network = networkWith({ HTTPS_PROXY: proxy.url.replace('//', '//me:hunter2@') });
    const error = await rejection(getDocument('https://images.test/', { network, limits }));
    assert.equal(error.code, 'TRANSFER_NETWORK');
    assert.match(error.message, /^Failed to reach the proxy 127\.0\.0\.1:\d+ \(HTTPS_PROXY\) for images\.test: /);
    assert.match(error.hint ?? '', /HTTPS_PROXY.*NO_PROXY/);
    assert.doesNotMatch(everythingOf(error), /hunter2|bWU6aHVudGVyMg/);
    await until(() => proxy.open.size === 0);
  });
}

for (const scheme of ['http', 'socks5h']) {
  test(`a dead ${scheme}: proxy is TRANSFER_NETWORK, and tried again`, async (t) => {
    const gone = await serve(t, (_, response) => response.end());
    await gone.close();
    const network = networkWith({ HTTPS_PROXY: `${scheme}://me:hunter2@127.0.0.1:${gone.port}` });
    const error = await rejection(getDocument('https://images.test/', { network, limits: { ...limits, retries: 1 } }));
    assert.equal(error.code, 'TRANSFER_NETWORK');
    assert.match(
      error.message,
      /the proxy 127\.0\.0\.1:\d+ \(HTTPS_PROXY\) for images\.test: .*ECONNREFUSED.*, after 2 tries$/,
    );
    assert.match(error.hint ?? '', /NO_PROXY/);
    assert.doesNotMatch(everythingOf(error), /hunter2/);
  });
}

test('a proxy that hangs up in the middle of its answer is TRANSFER_NETWORK', async (t) => {
  const { origin } = await serveRaw(t, (socket) => void socket.end('HTTP/1.1 200 Conn'));
  const error = await rejection(
    getDocument('https://images.test/', { network: networkWith({ HTTPS_PROXY: origin }), limits }),
  );
  assert.equal(error.code, 'TRANSFER_NETWORK');
  assert.match(error.message, /the proxy/);
});

test('a proxy that never answers CONNECT is given up after the time to connect, and its connection ends', async (t) => {
  const proxy = await proxied(t, { to: 1, answersConnect: '' });
  const network = networkWith({ HTTPS_PROXY: proxy.url });
  const error = await rejection(
    openStream('https://images.test/', { network, limits: { ...limits, connectTimeoutMs: 150 } }),
  );
  assert.equal(error.code, 'TRANSFER_TIMEOUT');
  assert.match(
    error.message,
    /connect to images\.test through the proxy 127\.0\.0\.1:\d+ \(HTTPS_PROXY\) within 0\.15 s/,
  );
  assert.match(error.hint ?? '', /NO_PROXY/);
  await until(() => proxy.open.size === 0);
});

test('a SOCKS proxy that never says a word is given up after the time to connect', async (t) => {
  const server = await socks(t, { to: 1, isMute: true });
  const network = networkWith({ ALL_PROXY: `socks5://127.0.0.1:${server.port}` });
  const error = await rejection(
    openStream('https://93.184.216.34/', { network, limits: { ...limits, connectTimeoutMs: 150 } }),
  );
  assert.equal(error.code, 'TRANSFER_TIMEOUT');
  await until(() => server.open.size === 0);
});

test('a host behind a proxy that never finishes its TLS is given up after the time to connect', async (t) => {
  const { origin, open } = await serveRaw(t, () => undefined);
  const proxy = await proxied(t, { to: Number(new URL(origin).port) });
  const network = networkWith({ HTTPS_PROXY: proxy.url });
  const error = await rejection(
    openStream('https://images.test/', { network, limits: { ...limits, connectTimeoutMs: 200 } }),
  );
  assert.equal(error.code, 'TRANSFER_TIMEOUT');
  assert.match(error.message, /connect to images\.test through/);
  await until(() => open.size === 0 && proxy.open.size === 0);
});

test('a host that never finishes its TLS is given up after the time to connect, without a proxy too', async (t) => {
  const { origin, open } = await serveRaw(t, () => undefined);
  const { port } = new URL(origin);
  const error = await rejection(
    openStream(`https://127.0.0.1:${port}/`, {
      network: networkWith({}),
      limits: { ...limits, connectTimeoutMs: 150 },
    }),
  );
  assert.match(error.message, /connect to 127\.0\.0\.1:\d+ within 0\.15 s/);
  await until(() => open.size === 0);
});

for (const kind of ['http', 'https'] as const) {
  test(`behind a proxy the time for the first byte begins when the connection stands (${kind}:)`, async (t) => {
    const never = (): void => undefined;
    const { port } = kind === 'https' ? await serveTls(t, await ca.issue('images.test'), never) : await serve(t, never);
    const proxy = await proxied(t, { to: port });
    const network = networkWith({ ALL_PROXY: proxy.url });
    const error = await rejection(
      openStream(`${kind}://images.test/`, { network, limits: { ...limits, firstByteTimeoutMs: 100 } }),
    );
    assert.equal(error.code, 'TRANSFER_TIMEOUT');
    assert.match(
      error.message,
      /get an answer from images\.test through the proxy 127\.0\.0\.1:\d+ \(ALL_PROXY\) within 0\.1 s/,
    );
    await until(() => proxy.open.size === 0);
  });
}

test('the time to connect is over when the connection stands: a body may take longer, with a proxy and without', async (t) => {
  const { port } = await serveTls(t, await ca.issue('images.test'), (_, response) => {
    response.write('slow');
    setTimeout(() => response.end('ly'), 1600);
  });
  const plain = await serve(t, (_, response) => {
    response.write('slow');
    setTimeout(() => response.end('ly'), 1600);
  });
  const proxy = await proxied(t, { to: port });
  const options = { network: networkWith({ HTTPS_PROXY: proxy.url }), limits: { ...limits, connectTimeoutMs: 1000 } };
  const bodies = ['https://images.test/', plain.origin].map(async (url) =>
    (await getDocument(url, options)).body.toString(),
  );
  assert.deepEqual(await Promise.all(bodies), ['slowly', 'slowly']);
});

test('a call that is cancelled while a proxy is asked ends at once, and leaves no connection', async (t) => {
  const proxy = await proxied(t, { to: 1, answersConnect: '' });
  const controller = new AbortController();
  const network = networkWith({ HTTPS_PROXY: proxy.url });
  const opened = openStream('https://images.test/', { network, signal: controller.signal, limits: DEFAULT_LIMITS });
  const rejected = assert.rejects(opened, { name: 'AbortError' });
  await until(() => proxy.asked.length === 1);
  controller.abort();
  await rejected;
  await until(() => proxy.open.size === 0);
});

for (const [what, options, message, retryable] of [
  ['another password', { auth: 'me:other' }, /Authentication/i, false],
  ['a rule against it', { reply: 2 }, /NotAllowed/, false],
  ['a host that it cannot reach', { reply: 4 }, /HostUnreachable/, true],
] as const) {
  test(`a SOCKS proxy with ${what} is TRANSFER_NETWORK, and nothing secret is shown`, async (t) => {
    const server = await socks(t, { to: 1, ...options });
    const network = networkWith({ ALL_PROXY: `socks5h://me:hunter2@127.0.0.1:${server.port}` });
    const error = await rejection(getDocument('https://images.test/', { network, limits }));
    assert.equal(error.code, 'TRANSFER_NETWORK');
    assert.match(error.message, message);
    assert.match(error.message, /images\.test through the proxy 127\.0\.0\.1:\d+ \(ALL_PROXY\)/);
    assert.equal(error.retryable, retryable);
    assert.doesNotMatch(everythingOf(error), /hunter2/);
    await until(() => server.open.size === 0);
  });
}
