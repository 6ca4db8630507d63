import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import test from 'node:test';
import { promisify } from 'node:util';
import { redirect, serve, startFaultyServer, truncate } from 'smartvm/testing';
import { ownNetwork } from '../support/abilities.ts';
import { authorityOf, setEnv } from './certificates.fixture.ts';
import {
  KERNEL,
  assertOnlyContinuable,
  assertRight,
  assertTold,
  kernelAt,
  rangesOf,
  worldOf,
} from './faults.fixture.ts';

const run = promisify(execFile);

test('N14: five redirects are followed, for the rest of a body too', async (t) => {
  const world = await worldOf(t, { kernel: [redirect('/1')] });
  const { server } = world;
  for (const hop of [1, 2, 3, 4]) server.script(`/${hop}`, [redirect(hop === 4 ? '/end' : `/${hop + 1}`)]);
  server.put('/end', KERNEL);
  server.script('/end', [truncate({ afterBytes: 50_000 }), serve()]);
  await assertRight(world, await world.ensure());
  assert.deepEqual(
    server.requestsFor('/end').map(({ range = '' }) => range),
    ['', 'bytes=50000-'],
  );
});

for (const [what, paths, says] of [
  ['a sixth redirect', ['/1', '/2', '/3', '/4', '/5', '/6'], /more than 5 times/],
  ['a circle of redirects', ['/1', '/2', '/vmlinux'], /in a circle/],
] as const) {
  test(`N14: ${what} is given up`, async (t) => {
    const world = await worldOf(t, { kernel: [redirect('/1')] });
    const { server } = world;
    for (const [index, path] of paths.entries()) {
      if (path !== '/vmlinux') server.script(path, [redirect(paths[index + 1])]);
    }
    await assertTold(world, { cause: 'TRANSFER_REFUSED', says });
    const asked = server.requests.map(({ path }) => path).filter((path) => path === '/vmlinux' || /^\/\d$/.test(path));
    assert.deepEqual(asked, ['/vmlinux', ...paths.slice(0, -1)]);
    await assertOnlyContinuable(world);
  });
}

test('N15: https stays https: a redirect to http is refused, and nothing is asked there', async (t) => {
  const authority = await authorityOf(t);
  setEnv(t, { SSL_CERT_FILE: authority.path });
  const secure = await startFaultyServer({ tls: await authority.issue('localhost') });
  t.after(() => secure.close());
  const world = await worldOf(t, { fields: { kernel: kernelAt(`https://localhost:${secure.port}/vmlinux`) } });
  secure.script('/vmlinux', [redirect(world.server.url('/vmlinux'))]);
  await assertTold(world, {
    cause: 'TRANSFER_REFUSED',
    host: `localhost:${secure.port}`,
    says: /from https: to http:/,
  });
  assert.equal(secure.requests.length, 1);
  assert.deepEqual(rangesOf(world), []);
});

for (const location of ['file:///etc/passwd', 'data:,kernel', 'javascript:alert(1)', 'ftp://127.0.0.1/x']) {
  test(`N16: a redirect to ${location} is refused`, async (t) => {
    const world = await worldOf(t, { kernel: [redirect(location)] });
    await assertTold(world, { cause: 'TRANSFER_REFUSED', says: new RegExp(new URL(location).protocol) });
    assert.deepEqual(rangesOf(world), ['']);
    await assertOnlyContinuable(world);
  });
}

for (const [what, location] of [
  ['without a Location', undefined],
  ['with an empty Location', ''],
  ['with a line feed in its Location', '/a\nb'],
  ['with a carriage return in its Location', '/a\rb'],
  ['with a NUL in its Location', '/a\u0000b'],
  ['with a password in its Location', 'http://user:hidden@127.0.0.1/'],
  ['to a host behind a back-slash', 'http:\\\\127.0.0.1\\x'],
  ['to what is no address', 'http://'],
] as const) {
  test(`N17: a redirect ${what} is refused`, async (t) => {
    const world = await worldOf(t, { kernel: [redirect(location)] });
    const isParsed = location === undefined || !/[\n\r\u0000]/.test(location);
    const error = await assertTold(world, { cause: isParsed ? 'TRANSFER_REFUSED' : 'TRANSFER_NETWORK' });
    assert.doesNotMatch(error.message, /hidden/);
    assert.deepEqual(rangesOf(world), ['']);
    await assertOnlyContinuable(world);
  });
}

test('N18: what is told to one origin is not told to the one it redirects to', async (t) => {
  const other = await startFaultyServer({ files: { '/vmlinux': KERNEL } });
  t.after(() => other.close());
  const world = await worldOf(t, { kernel: [redirect(other.url('/vmlinux'))] });
  const secrets = { authorization: 'Bearer hidden', cookie: 'a=hidden', 'x-api-key': 'hidden' };
  const images = await world.another({ headers: { [world.server.origin]: secrets } });
  await assertRight(images, await images.ensure());
  for (const [name, value] of Object.entries(secrets)) {
    assert.equal(world.server.requestsFor('/vmlinux')[0]?.headers[name], value);
    assert.equal(other.requests[0]?.headers[name], undefined, `${name} was told to the other origin`);
  }
});

test('N19: a public host leads to no private address, however it is written', ownNetwork, async () => {
  const namespace = ['-rn', 'sh', '-c'];
  const script = new URL('public-host.worker.ts', import.meta.url).pathname;
  const inside = 'ip link set lo up && ip addr add 93.184.216.34/32 dev lo && exec "$@"';
  const { stdout } = await run('unshare', [...namespace, inside, 'sh', process.execPath, '--import', 'tsx', script]);
  const outcomes = JSON.parse(stdout) as Record<string, string>;
  assert.equal(Object.keys(outcomes).length, 8);
  for (const [location, outcome] of Object.entries(outcomes)) {
    assert.match(
      outcome,
      /^BASE_IMAGE_PREPARE_FAILED TRANSFER_REFUSED: .*93\.184\.216\.34.*private.*, 0 requests$/,
      location,
    );
  }
});
