import assert from 'node:assert/strict';
import { createServer, type AddressInfo } from 'node:net';
import test from 'node:test';
import {
  all,
  changingEtag,
  content,
  contentRange,
  htmlPage,
  ignoreRanges,
  noEtag,
  serve,
  startFaultyServer,
  status,
  truncate,
  weakEtag,
} from 'smartvm/testing';
import type { Authority, Certificate } from '../support/authority.ts';
import { startCiBucket } from '../support/ci-bucket.ts';
import { rejection } from '../support/rejection.ts';
import { authorityOf, setEnv } from './certificates.fixture.ts';
import {
  KERNEL,
  KERNEL_SHA256,
  assertOnlyContinuable,
  assertRight,
  assertTold,
  kernelAt,
  managerOf,
  rangesOf,
  worldOf,
} from './faults.fixture.ts';

const CUT = truncate({ afterBytes: 50_000 });

for (const code of [500, 502, 503, 504, 408]) {
  test(`N20: status ${code} is tried again`, async (t) => {
    const world = await worldOf(t, { kernel: [status(code), serve()] });
    await assertRight(world, await world.ensure());
    assert.deepEqual(rangesOf(world), ['', '']);
    const retries = world.events.filter((event) => event.phase === 'retry');
    assert.deepEqual(
      retries.map(({ role, source, attempt, maxAttempts }) => ({ role, source, attempt, maxAttempts })),
      [{ role: 'kernel', source: `127.0.0.1:${world.server.port}`, attempt: 2, maxAttempts: 2 }],
    );
  });
}

test('N20: a host that does not recover is given up after the tries that were allowed', async (t) => {
  const world = await worldOf(t, { kernel: [status(503)], manager: { limits: { retries: 2 } } });
  await assertTold(world, { cause: 'TRANSFER_STATUS', says: /status 503/, tries: 3 });
  assert.equal(rangesOf(world).length, 3);
  await assertOnlyContinuable(world);
});

test('N20: a status that stands in the way of the rest of a body does not end it', async (t) => {
  const world = await worldOf(t, { kernel: [CUT, status(503), serve()], manager: { limits: { retries: 3 } } });
  await assertRight(world, await world.ensure());
  assert.deepEqual(rangesOf(world), ['', 'bytes=50000-', 'bytes=50000-']);
});

for (const code of [429, 503]) {
  test(`N21: Retry-After of status ${code} is waited for, in seconds`, async (t) => {
    const world = await worldOf(t, { kernel: [status(code, { retryAfter: 1 }), serve()] });
    await assertRight(world, await world.ensure());
    const [first, second] = world.server.requestsFor('/vmlinux').map(({ receivedAtMs }) => receivedAtMs);
    assert.ok((second ?? 0) - (first ?? 0) >= 990);
  });
}

test('N21: Retry-After is waited for until its date', async (t) => {
  const until = new Date(Math.ceil(Date.now() / 1000) * 1000 + 1000);
  const world = await worldOf(t, { kernel: [status(503, { retryAfter: until }), serve()] });
  await assertRight(world, await world.ensure());
  assert.ok(Date.now() >= until.getTime());
});

for (const retryAfter of [-5, 'soon', '1e1']) {
  test(`N21: a Retry-After of ${retryAfter} is as good as none`, async (t) => {
    const world = await worldOf(t, { kernel: [status(503, { retryAfter }), serve()] });
    await assertRight(world, await world.ensure());
    const [retry] = world.events.filter((event) => event.phase === 'retry');
    assert.ok(retry !== undefined && retry.pauseMs <= 1000, JSON.stringify(retry));
  });
}

for (const [what, retryAfter] of [
  ['10^9 seconds', 1_000_000_000],
  ['a year', new Date(Date.now() + 365 * 86_400_000)],
] as const) {
  test(`N21: a host that asks to come back in ${what} is not waited for; the error tells when, and that it may pass`, async (t) => {
    const world = await worldOf(t, { kernel: [status(503, { retryAfter })] });
    const error = await assertTold(world, { cause: 'TRANSFER_STATUS', says: /come back .*\d{4}-\d{2}-\d{2}T/ });
    assert.equal(error.retryable, true);
    assert.deepEqual(rangesOf(world), ['']);
  });
}

for (const code of [401, 403, 404, 410, 451]) {
  test(`N22: status ${code} is not tried again`, async (t) => {
    const world = await worldOf(t, { kernel: [status(code)] });
    const error = await assertTold(world, { cause: 'TRANSFER_STATUS', says: new RegExp(`/vmlinux .*status ${code}`) });
    assert.equal(error.retryable, false);
    assert.deepEqual(rangesOf(world), ['']);
    await assertOnlyContinuable(world);
  });
}

test('N22: a version that the bucket does not have is explained', async (t) => {
  const bucket = await startCiBucket();
  t.after(() => bucket.close());
  const { bucketUrl, releasesUrl } = bucket;
  const world = await managerOf(t, { bucketUrl, releasesUrl }, { reference: 'v9.9' });
  const says = /firecracker-ci\/v9\.9\/x86_64\/ holds nothing/;
  await assertTold(world, {
    code: 'BASE_IMAGE_RESOLVE_FAILED',
    cause: 'BASE_IMAGE_RESOLVE_FAILED',
    host: bucketUrl,
    says,
  });
});

for (const [what, behaviour] of [
  ['comes with a wrong Content-Range', contentRange('bytes 50001-200003/200004')],
  ['comes with a Content-Range of another size', contentRange('bytes 50000-200003/200005')],
  ['comes with no Content-Range that can be read', contentRange('bytes')],
  ['comes whole, with status 200', ignoreRanges()],
  ['is refused with status 416', status(416)],
  ['comes with another ETag', changingEtag()],
] as const) {
  test(`N23: a body is right although the rest of it ${what}`, async (t) => {
    const world = await worldOf(t, { kernel: [CUT, behaviour, serve()], manager: { limits: { retries: 3 } } });
    await assertRight(world, await world.ensure());
    assert.ok(rangesOf(world).length <= 3, rangesOf(world).join(', '));
  });
}

test('N23: a body whose rest comes from another file is the promised one in the end, or none', async (t) => {
  const other = content(Buffer.alloc(KERNEL.byteLength, 'x'));
  const world = await worldOf(t, { kernel: [CUT, other] });
  const error = await rejection(world.ensure());
  assert.equal(error.code, 'BASE_IMAGE_PREPARE_FAILED');
  assert.match(error.message, /SHA-256 mismatch|after 50000 of 200004 bytes/);
  await assertOnlyContinuable(world);
  world.server.script('/vmlinux', []);
  await assertRight(world, await world.ensure());
});

for (const [what, behaviour] of [
  ['no ETag', noEtag()],
  ['a weak ETag', weakEtag()],
  ['an ETag that changes with every answer', changingEtag()],
  ['no ranges', ignoreRanges()],
] as const) {
  test(`N23: a file with ${what} is got from its beginning again when it was cut`, async (t) => {
    const world = await worldOf(t, { kernel: [all(behaviour, CUT), behaviour], manager: { limits: { retries: 3 } } });
    await assertRight(world, await world.ensure());
    assert.ok(rangesOf(world).length <= 3, rangesOf(world).join(', '));
  });
}

test('N23: a file that cannot be continued and is cut again and again leaves nothing', async (t) => {
  const world = await worldOf(t, { kernel: [all(noEtag(), ignoreRanges(), CUT)] });
  await assertTold(world, { cause: 'TRANSFER_TRUNCATED', bytes: 50_000, tries: 2 });
  assert.equal(rangesOf(world).length, 2);
  assert.ok(!(await world.leftovers()).some((name) => name.includes(KERNEL_SHA256)), 'a part of it was kept');
});

test('N24: a page of a web site instead of a manifest is told as that', async (t) => {
  const world = await worldOf(t);
  world.server.script('/image.json', [htmlPage()]);
  const error = await assertTold(world, { code: 'BASE_IMAGE_MANIFEST_FAILED', cause: 'BASE_IMAGE_MANIFEST_FAILED' });
  assert.match(error.hint ?? '', /page of a web site/);
  assert.equal(world.server.requests.length, 1);
});

test('N24: a page of a web site instead of a kernel is not the promised size, and not the promised digest', async (t) => {
  const sized = await worldOf(t, { kernel: [htmlPage()] });
  await assertTold(sized, { cause: 'TRANSFER_TRUNCATED', says: /200004 were expected/ });
  assert.deepEqual(rangesOf(sized), ['']);
  await assertOnlyContinuable(sized);
  const unsized = await worldOf(t, { kernel: [htmlPage()], hasSizes: false });
  await assertTold(unsized, { cause: 'STORE_DIGEST_MISMATCH', host: 'vmlinux' });
  await assertOnlyContinuable(unsized);
});

for (const [what, path, told] of [
  ['a listing', '/spec.ccfc.min', { code: 'BASE_IMAGE_RESOLVE_FAILED', says: /ListBucketResult, got <html>/ }],
  ['a releases page', '/firecracker-microvm', { code: 'VERSION_FETCH_FAILED', says: /leads to/ }],
] as const) {
  test(`N24: a page of a web site instead of ${what} is told as that`, async (t) => {
    const bucket = await startCiBucket();
    t.after(() => bucket.close());
    bucket.intercept = (request, response) => {
      if (request.url?.startsWith(path) !== true) return false;
      response.setHeader('content-type', 'text/html').end('<html><body>Please log in.</body></html>');
      return true;
    };
    const { bucketUrl, releasesUrl } = bucket;
    const world = await managerOf(t, { bucketUrl, releasesUrl }, { preset: 'latest' });
    const host = path === '/spec.ccfc.min' ? 'firecracker-ci/' : new URL(bucketUrl).host;
    await assertTold(world, { ...told, cause: told.code, host });
  });
}

test('N25: a host that has no address is told by its name', async (t) => {
  const world = await worldOf(t, { fields: { kernel: kernelAt('https://no-such-host.invalid/vmlinux') } });
  await assertTold(world, { cause: 'TRANSFER_NETWORK', host: 'no-such-host.invalid' });
  await assertOnlyContinuable(world);
});

test('N25: a host that nobody listens on is tried again, and then told', async (t) => {
  const port = await closedPort();
  const world = await worldOf(t, { fields: { kernel: kernelAt(`http://127.0.0.1:${port}/vmlinux`) } });
  await assertTold(world, { cause: 'TRANSFER_NETWORK', host: `127.0.0.1:${port}`, says: /ECONNREFUSED/, tries: 2 });
});

for (const [what, issue] of [
  ['has expired', (authority) => authority.issue('localhost', { isExpired: true })],
  ['is for another host', (authority) => authority.issue('other.example')],
  ['the host gave itself', (authority) => authority.selfSigned('localhost')],
] as const satisfies readonly (readonly [string, (authority: Authority) => Promise<Certificate>])[]) {
  test(`N25: a certificate that ${what} proves nothing, and is not asked for twice`, async (t) => {
    const authority = await authorityOf(t);
    setEnv(t, { SSL_CERT_FILE: authority.path });
    const secure = await startFaultyServer({ tls: await issue(authority), files: { '/vmlinux': KERNEL } });
    t.after(() => secure.close());
    const host = `localhost:${secure.port}`;
    const world = await worldOf(t, { fields: { kernel: kernelAt(`https://${host}/vmlinux`) } });
    const error = await assertTold(world, { cause: 'TRANSFER_NETWORK', host });
    assert.equal(error.retryable, false);
    assert.match(`${error.message} ${error.hint ?? ''}`, /certificate/);
    assert.equal(secure.requests.length, 0);
    assert.equal(secure.connections.total, 1);
  });
}

test('N25: a certificate of an authority that was named is good', async (t) => {
  const authority = await authorityOf(t);
  setEnv(t, { SSL_CERT_FILE: authority.path });
  const secure = await startFaultyServer({ tls: await authority.issue('localhost'), files: { '/vmlinux': KERNEL } });
  t.after(() => secure.close());
  const world = await worldOf(t, { fields: { kernel: kernelAt(`https://localhost:${secure.port}/vmlinux`) } });
  await assertRight(world, await world.ensure());
});

for (const [variable, scheme] of [
  ['HTTP_PROXY', 'http'],
  ['HTTPS_PROXY', 'https'],
] as const) {
  test(`N26: a proxy of ${variable} that is dead is told by its name`, async (t) => {
    const proxy = `127.0.0.1:${await closedPort()}`;
    setEnv(t, { [variable]: `http://user:hidden@${proxy}`, [variable.toLowerCase()]: '', NO_PROXY: '', no_proxy: '' });
    const allowHttp = ['http://images.example'];
    const fields = { kernel: kernelAt(`${scheme}://images.example/vmlinux`) };
    const world = await worldOf(t, { fields, manager: { allowHttp } });
    const error = await assertTold(world, {
      cause: 'TRANSFER_NETWORK',
      host: proxy,
      says: /images\.example/,
      tries: 2,
    });
    assert.doesNotMatch(error.message + (error.hint ?? ''), /hidden/);
    assert.match(error.message + (error.hint ?? ''), new RegExp(variable));
  });
}

/** A port of loopback that nobody listens on. */
async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
