import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { BaseImageManager, type Bundle } from 'smartvm';
import { startCiBucket } from '../support/ci-bucket.ts';

const run = promisify(execFile);
const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

test('latest is the newest complete dated set: fetched once, looked up every time, remembered for when the network is gone', async (t) => {
  const bucket = await startCiBucket();
  const cacheDir = await mkdtemp(join(tmpdir(), 'smartvm-latest-'));
  t.after(async () => {
    await bucket.close();
    await rm(cacheDir, { recursive: true, force: true });
  });
  const { bucketUrl, releasesUrl } = bucket;
  const images = new BaseImageManager({ cacheDir, bucketUrl, releasesUrl });
  const bundle = await images.ensureBaseImage();
  assert.match(bundle.bundleId, /^latest-\d{8}-[0-9a-f]{12}-0-x86_64-vmlinux-6\.\d+\.\d+-ubuntu-24\.04\.squashfs$/);
  assert.equal(bundle.preset, 'latest');
  assert.equal(bundle.trust, 'first-use');
  assert.equal((await readFile(bundle.kernelImagePath)).subarray(0, 4).toString('latin1'), '\u007fELF');

  const fetched = (): number => bucket.requests.filter((line) => line.startsWith('GET ')).length;
  const before = fetched();
  const again = await images.ensureBaseImage({ preset: 'latest' });
  assert.equal(again.bundleDir, bundle.bundleDir);
  assert.equal(fetched(), before, 'a hit fetches nothing');

  const named = await images.ensureBaseImage({ reference: bundle.ciVersion });
  assert.notEqual(named.bundleDir, bundle.bundleDir);
  assert.deepEqual(named.checksums, bundle.checksums);
  assert.equal(fetched(), before, 'the same content under another name is shared');

  await bucket.close();
  const offline = await images.ensureBaseImage({ preset: 'latest', offline: true });
  assert.equal(offline.bundleDir, bundle.bundleDir);
  await assert.rejects(images.ensureBaseImage({ preset: 'latest' }), { code: 'VERSION_FETCH_FAILED' });
});

test('the command line finds the bucket that the environment names, and prints the bundle as JSON', async (t) => {
  const bucket = await startCiBucket();
  const cacheDir = await mkdtemp(join(tmpdir(), 'smartvm-latest-'));
  t.after(async () => {
    await bucket.close();
    await rm(cacheDir, { recursive: true, force: true });
  });
  const env = {
    ...process.env,
    SMARTVM_CACHE_DIR: cacheDir,
    SMARTVM_BUCKET_URL: bucket.bucketUrl,
    SMARTVM_RELEASES_URL: bucket.releasesUrl,
  };
  const args = ['--import', 'tsx', MAIN, 'ensure', 'latest', '--arch', 'aarch64', '--json'];
  const bundle = JSON.parse((await run(process.execPath, args, { env })).stdout) as Bundle;
  assert.equal(bundle.arch, 'aarch64');
  assert.match(bundle.bootArgs, /^keep_bootcon console=ttyS0 /);
});
