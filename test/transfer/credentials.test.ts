import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { IncomingHttpHeaders } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import type { TransferSettings } from '../../src/settings.ts';
import { Network } from '../../src/transfer/network.ts';
import type { RequestOptions } from '../../src/transfer/request.ts';
import { getDocument, openStream } from '../../src/transfer/transfer.ts';
import { rejection } from '../support/rejection.ts';
import { authority, bytesOf, everythingOf, proxied, serve, serveTls, shortLimits, sni } from './transfer.fixture.ts';

const ca = await authority();
const limits = shortLimits();
const BASIC = `Basic ${Buffer.from('me:hunter2').toString('base64')}`;

/** Every way to say who one is that hosts are known to use. */
const SECRETS: Readonly<Record<string, string>> = {
  authorization: 'Bearer hunter2',
  cookie: 'session=hunter2',
  cookie2: 'hunter2',
  'x-api-key': 'hunter2',
  'api-key': 'hunter2',
  apikey: 'hunter2',
  'private-token': 'hunter2',
  'job-token': 'hunter2',
  'x-auth-token': 'hunter2',
  'x-access-token': 'hunter2',
  'x-csrf-token': 'hunter2',
  'x-amz-security-token': 'hunter2',
  'x-goog-api-key': 'hunter2',
  'x-jfrog-art-api': 'hunter2',
  'x-vault-token': 'hunter2',
  'x-registry-auth': 'hunter2',
};

/** A host that answers at `/end` and else redirects to `location`; keeps what it was told. */
async function host(t: TestContext, location: () => string) {
  const told: IncomingHttpHeaders[] = [];
  const server = await serve(t, (request, response) => {
    told.push(request.headers);
    if (request.url === '/end') response.end('the end');
    else response.writeHead(302, { location: location() }).end();
  });
  return { ...server, told };
}

function network(settings: Partial<TransferSettings>): Network {
  return new Network({ allowHttp: [], ...settings });
}

async function folderFor(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'smartvm-netrc-'));
  t.after(() => rm(folder, { recursive: true }));
  return folder;
}

test('header fields go to their origin and to nobody else: 16 kinds of secret, over a redirect and back', async (t) => {
  assert.equal(Object.keys(SECRETS).length, 16);
  let back = '';
  const second = await host(t, () => back);
  const first = await host(t, () => `${second.origin}/`);
  back = `${first.origin}/end`;
  const settings = { headers: { [first.origin]: SECRETS } };
  await getDocument(`${first.origin}/`, { network: network(settings) });
  for (const name of Object.keys(SECRETS)) {
    assert.equal(first.told[0]?.[name], SECRETS[name], name);
    assert.equal(second.told[0]?.[name], undefined, name);
    assert.equal(first.told[1]?.[name], SECRETS[name], `${name} on the way back`);
  }
  assert.doesNotMatch(JSON.stringify(second.told), /hunter2/);
});

test('each origin on the way gets its own', async (t) => {
  const second = await host(t, () => '');
  const first = await host(t, () => `${second.origin}/end`);
  const headers = { [first.origin]: { 'X-Api-Key': 'one' }, [`${second.origin}/`]: { 'x-api-key': 'two' } };
  await getDocument(`${first.origin}/`, { network: network({ headers }) });
  assert.equal(first.told[0]?.['x-api-key'], 'one');
  assert.equal(second.told[0]?.['x-api-key'], 'two');
});

test('header fields of a request are only those that say which bytes are wanted', async (t) => {
  const { told, origin } = await host(t, () => '');
  const headers = { accept: 'text/x', ...SECRETS } as RequestOptions['headers'];
  await getDocument(`${origin}/end`, { network: network({}), headers });
  assert.equal(told[0]?.accept, 'text/x');
  assert.doesNotMatch(JSON.stringify(told), /hunter2/);
});

test('another port, another scheme and another host are other origins', async () => {
  const credentials = network({
    headers: { 'images.test': { a: '1' }, 'https://images.test:8443': { b: '2' }, 'http://images.test': { c: '3' } },
  }).credentials;
  assert.deepEqual(await credentials.headersFor(new URL('https://images.test/x')), { a: '1' });
  assert.deepEqual(await credentials.headersFor(new URL('https://images.test:8443/x')), { b: '2' });
  assert.deepEqual(await credentials.headersFor(new URL('http://images.test/x')), { c: '3' });
  for (const url of [
    'https://a.images.test/',
    'https://images.test.evil/',
    'https://images.test:444/',
    'https://test/',
  ]) {
    assert.deepEqual(await credentials.headersFor(new URL(url)), {}, url);
  }
});

test('a challenge is answered with nothing that was not said before', async (t) => {
  const told: IncomingHttpHeaders[] = [];
  const { origin } = await serve(t, (request, response) => {
    told.push(request.headers);
    response.writeHead(401, { 'www-authenticate': 'Basic realm="x", Bearer realm="https://evil.test/token"' }).end();
  });
  const settings = { headers: { 'https://images.test': SECRETS }, env: { NETRC: '/dev/null' } };
  const error = await rejection(getDocument(`${origin}/`, { network: network(settings) }));
  assert.equal(error.code, 'TRANSFER_STATUS');
  assert.match(error.hint ?? '', /~\/\.netrc or the option headers/);
  assert.equal(told.length, 1);
  assert.equal(told[0]?.authorization, undefined);
});

for (const [name, value] of [
  ['x-api-key', 'hunter2\r\nhost: evil.test'],
  ['x-api-key', 'hunter2\0'],
  ['x-api-key', 'hunter2\n'],
  ['x-api-key\r\nx', 'hunter2'],
  ['x api key', 'hunter2'],
  ['', 'hunter2'],
  ['Host', 'hunter2'],
  ['Accept-Encoding', 'hunter2'],
  ['range', 'hunter2'],
  ['Transfer-Encoding', 'hunter2'],
  ['proxy-authorization', 'hunter2'],
] as const) {
  test(`the header field ${JSON.stringify(name)}: ${JSON.stringify(value)} is refused and not shown`, async (t) => {
    const { told, origin } = await host(t, () => '');
    const settings = { headers: { [origin]: { [name]: value } } };
    const error = await rejection(getDocument(`${origin}/end`, { network: network(settings), limits }));
    assert.equal(error.code, 'TRANSFER_REFUSED');
    assert.match(error.message, /the header field/);
    assert.doesNotMatch(everythingOf(error), /hunter2/);
    assert.equal(told.length, 0);
  });
}

test('header fields for what is no origin are refused', async () => {
  const { credentials } = network({ headers: { 'a b': { x: 'hunter2' } } });
  const error = await rejection(credentials.headersFor(new URL('https://images.test/')));
  assert.equal(error.code, 'TRANSFER_REFUSED');
  assert.doesNotMatch(everythingOf(error), /hunter2/);
});

test('~/.netrc speaks for its host alone, and $NETRC takes its place', async (t) => {
  const home = await folderFor(t);
  const named = join(home, 'other');
  await writeFile(
    join(home, '.netrc'),
    'machine images.test login me password hunter2\ndefault login all password all',
  );
  await writeFile(named, 'machine images.test login other password pass');
  const url = new URL('https://images.test/x');
  const at = (env: Record<string, string> | undefined, where = url, headers = {}) =>
    network({ env, headers }).credentials.headersFor(where);
  assert.deepEqual(await at({ HOME: home }), { authorization: BASIC });
  assert.deepEqual(await at({ HOME: home, NETRC: named }), {
    authorization: `Basic ${Buffer.from('other:pass').toString('base64')}`,
  });
  assert.deepEqual(await at(undefined), {}, 'without an environment there is none');
  assert.deepEqual(await at({}), {});
  assert.deepEqual(await at({ HOME: home }, new URL('https://other.test/')), {}, 'default is nobody');
  assert.deepEqual(await at({ HOME: home }, new URL('http://images.test/')), {}, 'not without TLS');
  assert.deepEqual(await at({ HOME: join(home, 'nowhere') }), {});
  const own = { 'images.test': { Authorization: 'Bearer x' } };
  assert.deepEqual(await at({ HOME: home }, url, own), { authorization: 'Bearer x' }, 'the option comes first');
});

test('a ~/.netrc that cannot be read is none, and a $NETRC that cannot be read is an error', async (t) => {
  const home = await folderFor(t);
  await mkdir(join(home, '.netrc'));
  const url = new URL('https://images.test/x');
  assert.deepEqual(await network({ env: { HOME: home } }).credentials.headersFor(url), {});
  const { credentials } = network({ env: { HOME: home, NETRC: join(home, 'none') } });
  const error = await rejection(credentials.headersFor(url));
  assert.equal(error.code, 'TRANSFER_REFUSED');
  assert.ok(error.message.includes(`NETRC=${join(home, 'none')}`));
  await writeFile(join(home, 'none'), 'machine images.test login me password hunter2');
  assert.deepEqual(await credentials.headersFor(url), { authorization: BASIC }, 'it is read again');
});

test('a login of .netrc is sent over TLS, is not sent on by a redirect, and is sent to loopback without TLS', async (t) => {
  const file = join(await folderFor(t), 'netrc');
  await writeFile(file, 'machine images.test login me password hunter2\nmachine 127.0.0.1 login lo password cal');
  const told: (readonly [host: string | undefined, authorization: string | undefined])[] = [];
  const certificate = await ca.issue('images.test');
  const cdn = await ca.issue('cdn.test');
  const { port } = await serveTls(t, { ...certificate, SNICallback: sni({ 'cdn.test': cdn }) }, (request, response) => {
    told.push([request.headers.host, request.headers.authorization]);
    if (request.headers.host === 'cdn.test') response.end('x');
    else response.writeHead(302, { location: 'https://cdn.test/x' }).end();
  });
  const proxy = await proxied(t, { to: port });
  const env = { NETRC: file, HTTPS_PROXY: proxy.url, SSL_CERT_FILE: ca.path };
  await bytesOf((await openStream('https://images.test/', { network: network({ env }) })).body);
  assert.deepEqual(told, [
    ['images.test', BASIC],
    ['cdn.test', undefined],
  ]);
  const loopback = await host(t, () => '');
  await getDocument(`${loopback.origin}/end`, { network: network({ env }) });
  assert.equal(loopback.told[0]?.authorization, `Basic ${Buffer.from('lo:cal').toString('base64')}`);
});

test('secrets appear in no error, whatever goes wrong', async (t) => {
  const file = join(await folderFor(t), 'netrc');
  await writeFile(file, 'machine 127.0.0.1 login me password hunter2');
  const { origin } = await serve(t, (request, response) => {
    switch (request.url?.split('?')[0]) {
      case '/status':
        response.writeHead(500).end();
        break;
      case '/cut':
        response.writeHead(200, { 'content-length': '100' });
        response.write('x', () => setTimeout(() => response.destroy(), 20));
        break;
      case '/loop':
        response.writeHead(302, { location: '/loop?key=hunter2' }).end();
        break;
      case '/evil':
        response.writeHead(302, { location: 'http://me:hunter2@evil.test/?hunter2' }).end();
        break;
      case '/garbage':
        request.socket.end('garbage\r\n\r\n');
        break;
      default:
        request.socket.destroy();
    }
  });
  const settings = { headers: { [origin]: { 'x-api-key': 'hunter2' } }, env: { NETRC: file } };
  const seen: string[] = [];
  const onRetry = (news: unknown): number => seen.push(JSON.stringify(news));
  for (const path of ['status', 'cut', 'loop', 'evil', 'garbage', 'reset']) {
    const options = { network: network(settings), limits: shortLimits({ retries: 1 }), onRetry };
    const error = await rejection(getDocument(`${origin}/${path}?token=hunter2`, options));
    assert.doesNotMatch(everythingOf(error), /hunter2|bWU6aHVudGVyMg/, path);
  }
  assert.ok(seen.length >= 2);
  assert.doesNotMatch(seen.join(), /hunter2/);
});

test('an address with a user or a password is refused, and the hint names where they belong', async () => {
  const error = await rejection(getDocument('https://me:hunter2@images.test/', { network: network({}) }));
  assert.equal(error.code, 'TRANSFER_REFUSED');
  assert.match(error.hint ?? '', /~\/\.netrc or the option headers/);
  assert.doesNotMatch(everythingOf(error), /hunter2/);
});
