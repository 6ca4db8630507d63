import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import type { IncomingHttpHeaders } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { getDocument, openStream, resolveRedirect } from '../../src/transfer/transfer.ts';
import { Network } from '../../src/transfer/network.ts';
import { ownNetwork } from '../support/abilities.ts';
import { rejection } from '../support/rejection.ts';
import { bytesOf, network, serve, serveRaw, shortLimits } from './transfer.fixture.ts';

const run = promisify(execFile);

test('five redirects are followed, and the final address is told', async (t) => {
  const { origin } = await hops(t, 5);
  assert.equal(await resolveRedirect(`${origin}/0`, { network }), `${origin}/5`);
  const { body, finalUrl } = await getDocument(`${origin}/0`, { network });
  assert.equal(body.toString(), 'the end');
  assert.equal(finalUrl, `${origin}/5`);
});

test('a sixth redirect is too much', async (t) => {
  const { origin } = await hops(t, 6);
  const error = await rejection(getDocument(`${origin}/0`, { network }));
  assert.equal(error.code, 'TRANSFER_REFUSED');
  assert.match(error.message, /more than 5 times/);
});

test('a circle of redirects is found at its first repetition', async (t) => {
  let asked = 0;
  const { origin } = await serve(t, (request, response) => {
    asked += 1;
    response.writeHead(302, { location: request.url === '/a' ? '/b' : '/a' }).end();
  });
  const error = await rejection(openStream(`${origin}/a`, { network }));
  assert.match(error.message, /in a circle/);
  assert.equal(asked, 2);
});

test('nothing that a server says is carried to the next one', async (t) => {
  let headers: IncomingHttpHeaders = {};
  const second = await serve(t, (request, response) => {
    ({ headers } = request);
    response.end('x');
  });
  const first = await serve(t, (_, response) => {
    response.writeHead(302, { location: `${second.origin}/`, 'set-cookie': 'a=b', authorization: 'x' }).end();
  });
  await getDocument(`${first.origin}/`, { network });
  assert.deepEqual(Object.keys(headers).sort(), ['accept', 'accept-encoding', 'connection', 'host', 'user-agent']);
  assert.equal(headers['accept-encoding'], 'identity');
  assert.equal(headers.host, new URL(second.origin).host);
});

for (const location of [
  'file:///etc/passwd',
  'data:,x',
  'javascript:alert(1)',
  'a\0b',
  'http://example.com/',
  'https://u:secret@example.com/',
  '\\\\x',
  'a\u0001b',
]) {
  test(`a redirect to ${JSON.stringify(location)} is refused`, async (t) => {
    const { origin } = await serveRaw(t, (socket) => {
      socket.end(`HTTP/1.1 302 Found\r\nLocation: ${location}\r\nContent-Length: 0\r\n\r\n`);
    });
    const error = await rejection(openStream(`${origin}/`, { network, limits: shortLimits() }));
    assert.ok(['TRANSFER_REFUSED', 'TRANSFER_NETWORK'].includes(error.code), error.code);
    assert.doesNotMatch(error.message, /secret/);
  });
}

test('a redirect that does not say where is refused', async (t) => {
  const { origin } = await serve(t, (_, response) => response.writeHead(302).end());
  assert.match((await rejection(openStream(`${origin}/`, { network }))).message, /without saying where/);
});

test('https stays https: a redirect to http is refused, even to an origin that is allowed', async (t) => {
  const plain = await serve(t, (_, response) => response.end('x'));
  const origin = await serveTls(t, plain.origin);
  const before = process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
  process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
  t.after(() => {
    if (before === undefined) delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
    else process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = before;
  });
  const error = await rejection(openStream(`${origin}/`, { network: new Network({ allowHttp: [plain.origin] }) }));
  assert.equal(error.code, 'TRANSFER_REFUSED');
  assert.match(error.message, /from https: to http:/);
});

test('a certificate that proves nothing is told as that, and is not tried again', async (t) => {
  const origin = await serveTls(t, 'http://127.0.0.1:1');
  const startMs = performance.now();
  const error = await rejection(openStream(`${origin}/`, { network }));
  assert.equal(error.code, 'TRANSFER_NETWORK');
  assert.equal(error.retryable, false);
  assert.match(error.hint ?? '', /NODE_EXTRA_CA_CERTS/);
  assert.ok(performance.now() - startMs < 200, 'it was tried again');
});

test('a public host leads to no private address: nothing is sent there', ownNetwork, async (t) => {
  const script = new URL('private-target.worker.ts', import.meta.url).pathname;
  const folder = await mkdtemp(join(tmpdir(), 'smartvm-hosts-'));
  t.after(() => rm(folder, { recursive: true }));
  const hosts = join(folder, 'hosts');
  await writeFile(hosts, '127.0.0.1 localhost inside.test\n');
  const network = 'ip link set lo up && ip addr add 93.184.216.34/32 dev lo';
  const namespace = `${network} && mount --bind ${hosts} /etc/hosts && exec "$@"`;
  const command = ['-rnm', 'sh', '-c', namespace, 'sh', process.execPath, '--import', 'tsx', script];
  const { stdout } = await run('unshare', command);
  const { locations, followed, kept } = JSON.parse(stdout) as {
    locations: Record<string, string>;
    followed: string;
    kept: string;
  };
  assert.equal(Object.keys(locations).length, 10);
  assert.match(kept, /redirects to a private address/);
  for (const [location, outcome] of Object.entries(locations)) {
    assert.match(
      outcome,
      /^TRANSFER_REFUSED: .*a public host, redirects to a private address, 0 connections$/,
      location,
    );
  }
  assert.equal(followed, 'from a public host to itself');
});

test('a redirect is followed for the body too, and a range is asked of the last', async (t) => {
  const ranges: (string | undefined)[] = [];
  const { origin } = await serve(t, (request, response) => {
    ranges.push(request.headers.range);
    if (request.url === '/') response.writeHead(307, { location: '/x' }).end();
    else response.writeHead(206, { 'content-range': 'bytes 1-2/4' }).end('bc');
  });
  const { body } = await openStream(`${origin}/`, { network, range: { start: 1, end: 3 } });
  assert.equal((await bytesOf(body)).toString(), 'bc');
  assert.deepEqual(ranges, ['bytes=1-2', 'bytes=1-2']);
});

async function hops(t: TestContext, count: number): Promise<{ readonly origin: string }> {
  return await serve(t, (request, response) => {
    const hop = Number(request.url?.slice(1));
    if (hop === count) response.end('the end');
    else response.writeHead(302, { location: `/${hop + 1}` }).end('<html>moved</html>');
  });
}

async function serveTls(t: TestContext, location: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'smartvm-tls-'));
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const options = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', key, '-out', cert];
  await run('openssl', ['req', '-x509', ...options, ...subject]);
  const server = createServer({ key: await readFile(key), cert: await readFile(cert) }, (_, response) => {
    response.writeHead(302, { location }).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await rm(folder, { recursive: true });
  });
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
