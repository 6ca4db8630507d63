import assert from 'node:assert/strict';
import { chmod, mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { BaseImageManager, diagnose, type Finding } from 'smartvm';
import { firecrackerFinding, nodeFinding, tableFinding } from '../src/doctor.ts';
import { startCiBucket } from './support/ci-bucket.ts';
import { worldOf } from './contract/contract.fixture.ts';

const named = (findings: readonly Finding[], name: string): Finding => {
  const found = findings.find((one) => one.name === name);
  assert.ok(found, `no finding ${name}`);
  return found;
};

test('on a machine that has everything nothing is bad, and what latest would be is told', async (t) => {
  const bucket = await startCiBucket();
  t.after(() => bucket.close());
  const { bucketUrl, releasesUrl } = bucket;
  const { images } = await worldOf(t, { bucketUrl, releasesUrl });
  const findings = await diagnose(images);
  assert.deepEqual(
    findings.filter(({ state }) => state === 'bad'),
    [],
  );
  assert.match(named(findings, 'latest').says, /latest-20261008-40f3a4819490-0/);
  assert.ok(!bucket.requests.some((line) => line.startsWith('GET ')));
});

test('offline no network is asked', async (t) => {
  const bucket = await startCiBucket();
  t.after(() => bucket.close());
  const { bucketUrl, releasesUrl } = bucket;
  const { images } = await worldOf(t, { bucketUrl, releasesUrl });
  await diagnose(images, { offline: true });
  assert.deepEqual(bucket.requests, []);
});

test('what is missing is told with the command that brings it', async (t) => {
  const { images, folder } = await worldOf(t);
  await withPath(t, join(folder, 'empty'));
  const findings = await diagnose(images, { offline: true });
  assert.deepEqual(
    [named(findings, 'locks').state, named(findings, 'locks').fix],
    ['bad', 'apt-get install util-linux'],
  );
  assert.match(named(findings, 'build').fix ?? '', /^apt-get install mmdebstrap squashfs-tools/);
  assert.match(named(findings, 'qemu').fix ?? '', /^apt-get install qemu-system-/);
});

test('a bucket that does not answer is bad, with its address and a way on', async (t) => {
  const { images } = await worldOf(t, { releasesUrl: 'http://127.0.0.1:1/latest' });
  const latest = named(await diagnose(images), 'latest');
  assert.equal(latest.state, 'bad');
  assert.match(latest.says, /127\.0\.0\.1:1/);
  assert.ok(latest.fix !== undefined);
});

test('a cache that is not safe is bad', async (t) => {
  const { images, folder } = await worldOf(t);
  await mkdir(images.getCacheDir(), { mode: 0o700 });
  await mkdir(join(images.getCacheDir(), 'v1'));
  await chmod(images.getCacheDir(), 0o777);
  const cache = named(await diagnose(images, { offline: true }), 'cache');
  assert.equal(cache.state, 'bad');
  assert.match(cache.fix ?? '', /chmod go-w/);
  await symlink(images.getCacheDir(), join(folder, 'link'));
  const linked = new BaseImageManager({ cacheDir: join(folder, 'link') });
  assert.equal(named(await diagnose(linked, { offline: true }), 'cache').state, 'bad');
});

test('a Node below the floor is bad', () => {
  assert.equal(nodeFinding('20.19.0').state, 'ok');
  assert.equal(nodeFinding('20.18.1').state, 'bad');
  assert.equal(nodeFinding('18.20.0').state, 'bad');
});

test('tables that are older than 180 days are told', () => {
  assert.equal(tableFinding(new Date('2026-11-24')).state, 'ok');
  assert.equal(tableFinding(new Date('2027-06-01')).state, 'note');
});

test('a Firecracker whose support ended is told with the day', () => {
  const found = (version: string): Finding =>
    firecrackerFinding({ command: '/usr/bin/firecracker', version }, '2026-11-24');
  assert.equal(found('1.17.0').state, 'ok');
  assert.equal(found('1.18.0').state, 'ok');
  assert.match(found('1.7.0').says, /ended on 2024-09-18/);
  assert.match(found('1.3.3').says, /older/);
  assert.equal(firecrackerFinding(undefined, '2026-11-24').state, 'note');
});

async function withPath(t: TestContext, path: string): Promise<void> {
  await mkdir(path);
  const { PATH } = process.env;
  t.after(() => (process.env['PATH'] = PATH));
  process.env['PATH'] = path;
}
