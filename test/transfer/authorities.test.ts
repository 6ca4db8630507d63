import assert from 'node:assert/strict';
import { appendFile, copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { Network } from '../../src/transfer/network.ts';
import { getDocument } from '../../src/transfer/transfer.ts';
import type { Certificate } from '../support/authority.ts';
import { rejection } from '../support/rejection.ts';
import { authority, proxied, serveTls, shortLimits } from './transfer.fixture.ts';

const ca = await authority();
const other = await authority();
const limits = shortLimits({ retries: 2 });

/** What becomes of a request to `https://images.test/` behind a proxy, and how many connections it took. */
async function ask(t: TestContext, certificate: Certificate, env: Record<string, string>) {
  const { port } = await serveTls(t, certificate, (_, response) => response.end('believed'));
  const proxy = await proxied(t, { to: port });
  const network = new Network({ allowHttp: [], env: { HTTPS_PROXY: proxy.url, ...env } });
  const answer = getDocument('https://images.test/', { network, limits }).then(({ body }) => body.toString());
  return { answer, asked: proxy.asked, network };
}

async function folderFor(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'smartvm-pem-'));
  t.after(() => rm(folder, { recursive: true }));
  return folder;
}

test('the authorities of SSL_CERT_FILE are believed', async (t) => {
  const { answer } = await ask(t, await ca.issue('images.test'), { SSL_CERT_FILE: ca.path });
  assert.equal(await answer, 'believed');
});

test('SSL_CERT_FILE takes the place of all others, and those of NODE_EXTRA_CA_CERTS come with them', async (t) => {
  const certificate = await ca.issue('images.test');
  const refused = await ask(t, certificate, { SSL_CERT_FILE: other.path });
  assert.equal((await rejection(refused.answer)).code, 'TRANSFER_NETWORK');
  const { answer } = await ask(t, certificate, { SSL_CERT_FILE: other.path, NODE_EXTRA_CA_CERTS: ca.path });
  assert.equal(await answer, 'believed');
});

test('a file of several authorities is believed whole', async (t) => {
  const path = join(await folderFor(t), 'all.pem');
  await copyFile(other.path, path);
  await appendFile(path, `\n# ours\n${await readFile(ca.path, 'utf8')}`);
  const { answer } = await ask(t, await ca.issue('images.test'), { SSL_CERT_FILE: path });
  assert.equal(await answer, 'believed');
});

for (const [what, variable, content] of [
  ['is not there', 'SSL_CERT_FILE', undefined],
  ['is not there', 'NODE_EXTRA_CA_CERTS', undefined],
  ['holds no certificate', 'SSL_CERT_FILE', 'hello'],
  ['is damaged', 'SSL_CERT_FILE', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'],
] as const) {
  test(`when ${variable} names a file that ${what}, nothing is asked, and the error names both`, async (t) => {
    const path = join(await folderFor(t), 'authorities.pem');
    if (content !== undefined) await writeFile(path, content);
    const env = { SSL_CERT_FILE: ca.path, [variable]: path };
    const { answer, asked, network } = await ask(t, await ca.issue('images.test'), env);
    const error = await rejection(answer);
    assert.equal(error.code, 'TRANSFER_NETWORK');
    assert.equal(error.retryable, false);
    assert.ok(error.message.includes(`${variable}=${path}`), error.message);
    assert.ok(error.hint?.includes(variable));
    assert.deepEqual(asked, []);
    await copyFile(ca.path, path);
    assert.ok(await network.authorities.context(), 'it is read again once it is right');
  });
}

for (const [what, certificate, message, hint] of [
  ['that has expired', () => ca.issue('images.test', { isExpired: true }), /certificate has expired/, /renew.*clock/],
  ['for another host', () => ca.issue('other.test'), /images\.test.*other\.test/, /other names: check the address/],
  ['that it gave itself', () => ca.selfSigned('images.test'), /self-signed/, /NODE_EXTRA_CA_CERTS.*SSL_CERT_FILE/],
  [
    'of an unknown authority',
    () => other.issue('images.test'),
    /issuer certificate|first certificate/,
    /NODE_EXTRA_CA_CERTS/,
  ],
] as const) {
  test(`a host with a certificate ${what} is refused once, with the way out`, async (t) => {
    const { answer, asked } = await ask(t, await certificate(), { SSL_CERT_FILE: ca.path });
    const error = await rejection(answer);
    assert.equal(error.code, 'TRANSFER_NETWORK');
    assert.equal(error.retryable, false);
    assert.match(error.message, /^Failed to reach images\.test through .*: its certificate is not accepted: /);
    assert.match(error.message, message);
    assert.match(error.hint ?? '', hint);
    assert.equal(asked.length, 1, 'it was tried again');
  });
}

test('without SSL_CERT_FILE it is what Node believes, which reads NODE_EXTRA_CA_CERTS itself when it starts', async () => {
  const network = new Network({ allowHttp: [], env: { NODE_EXTRA_CA_CERTS: '/nowhere' } });
  assert.equal(await network.authorities.context(), undefined);
});
