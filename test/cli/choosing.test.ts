import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import type { EnsurePlan, ImageDifference, LockReport, Resolution } from 'smartvm';
import { startCiBucket } from '../support/ci-bucket.ts';
import type { FakeBucket } from '../support/fake-bucket.ts';
import { runBin, type Finished } from './bin.fixture.ts';
import { workplace } from './cache.fixture.ts';

interface Place {
  readonly bucket: FakeBucket;
  readonly dir: string;
  readonly smartvm: (...args: readonly string[]) => Promise<Finished>;
}

async function place(t: TestContext): Promise<Place> {
  const bucket = await startCiBucket();
  t.after(() => bucket.close());
  const { dir, cacheDir } = await workplace(t);
  const { bucketUrl, releasesUrl } = bucket;
  const env = { SMARTVM_BUCKET_URL: bucketUrl, SMARTVM_RELEASES_URL: releasesUrl, SMARTVM_CACHE_DIR: cacheDir };
  return { bucket, dir, smartvm: (...args) => runBin([...args, '--arch', 'x86_64'], { env, cwd: dir }) };
}

test('resolve says what would be chosen, from where, how big, how trusted, and why', async (t) => {
  const { smartvm } = await place(t);
  const { status, stdout } = await smartvm('resolve', 'latest');
  assert.equal(status, 0);
  assert.match(stdout, /^bundle +latest-20261008-40f3a4819490-0-x86_64-vmlinux-6\.18\.51-ubuntu-24\.04\.squashfs$/m);
  assert.match(stdout, /^for +Firecracker v1\.17\.0 on x86_64$/m);
  assert.match(stdout, /^kernel +vmlinux-6\.18\.51 {2}4\.0 KiB {2}http:\/\/127\.0\.0\.1:\d+\/.*vmlinux-6\.18\.51$/m);
  assert.match(stdout, /^trust +first-use: nobody publishes digests/m);
  assert.match(stdout, /^why\n {2}the newest release is v1\.17\.0\n/m);
});

test('resolve --json has the documented shape', async (t) => {
  const { smartvm } = await place(t);
  const { stdout } = await smartvm('resolve', 'latest', '--firecracker', 'v1.15.1', '--kernel', '6.1', '--json');
  const resolution = JSON.parse(stdout) as Resolution;
  assert.deepEqual(Object.keys(resolution).sort(), [
    ...['arch', 'artifacts', 'bundleId', 'ciVersion', 'firecrackerVersion', 'reference', 'trust', 'why'],
  ]);
  assert.deepEqual(Object.keys(resolution.artifacts[0] ?? {}).sort(), ['bytes', 'etag', 'fileName', 'role', 'url']);
  assert.equal(resolution.firecrackerVersion, 'v1.15.1');
});

test('--require takes names with commas or repeated, and an unknown one lists the known ones', async (t) => {
  const { smartvm } = await place(t);
  const found = await smartvm(
    'resolve',
    'latest',
    '--require',
    'overlayfs,nf_tables',
    '--require',
    'iptables',
    '--json',
  );
  assert.equal((JSON.parse(found.stdout) as Resolution).artifacts[0]?.fileName, 'vmlinux-6.1.188');
  const unknown = await smartvm('ensure', 'latest', '--require', 'overlay');
  assert.equal(unknown.status, 1);
  assert.match(unknown.stderr, /INVALID_BASE_IMAGE_OPTIONS: .*"overlay"\nhint: Known: .*overlayfs/);
});

test('ensure --plan says what would be fetched and removed, and does nothing', async (t) => {
  const { bucket, smartvm } = await place(t);
  const words = await smartvm('ensure', 'latest', '--plan');
  assert.match(words.stdout, /^fetch +8\.0 KiB from 127\.0\.0\.1:\d+$/m);
  const plan = JSON.parse((await smartvm('ensure', 'latest', '--plan', '--json')).stdout) as EnsurePlan;
  assert.equal(plan.isCached, false);
  assert.ok(!bucket.requests.some((line) => line.startsWith('GET ')));
});

test('lock writes smartvm.lock here, --frozen takes only that, and below it is found too', async (t) => {
  const { dir, smartvm, bucket } = await place(t);
  const locked = await smartvm('lock', 'latest');
  assert.deepEqual([locked.status, locked.stdout], [0, 'added      latest  x86_64\n']);
  const file = join(dir, 'smartvm.lock');
  assert.ok((await readFile(file, 'utf8')).includes('"lockVersion": 1'));
  await bucket.close();
  assert.equal((await smartvm('ensure', 'latest', '--frozen')).status, 0);
  const other = await smartvm('ensure', 'stable', '--frozen');
  assert.equal(other.status, 1);
  assert.match(
    other.stderr,
    /BASE_IMAGE_LOCK_MISMATCH: .*which has latest \(x86_64\)\nhint: Add it: smartvm lock "stable"/,
  );
});

test('lock --update shows what changed, and --dry-run writes nothing', async (t) => {
  const { bucket, dir, smartvm } = await place(t);
  bucket.release = 'v1.15.1';
  await smartvm('lock', 'latest');
  bucket.release = 'v1.17.0';
  const before = await readFile(join(dir, 'smartvm.lock'), 'utf8');
  const shown = await smartvm('lock', '--update', '--dry-run');
  assert.match(shown.stdout, /^updated +latest {2}x86_64$/m);
  assert.match(shown.stdout, /^ {2}~ kernel: vmlinux-6\.1\.155 \(4\.0 KiB\) -> vmlinux-6\.18\.51 \(4\.0 KiB\)$/m);
  assert.match(shown.stdout, /^ {2}- CONFIG_IP_NF_IPTABLES y$/m);
  assert.match(shown.stdout, /^ {2}~ libc6:amd64 2\.39-0ubuntu8\.3 -> 2\.39-0ubuntu8\.6$/m);
  assert.equal(await readFile(join(dir, 'smartvm.lock'), 'utf8'), before);
  const report = JSON.parse((await smartvm('lock', '--update', '--json')).stdout) as LockReport;
  assert.deepEqual([report.isWritten, report.changes[0]?.change], [true, 'updated']);
  assert.equal((await smartvm('lock')).status, 2);
});

test('diff tells files, kernel options and packages without downloading an image', async (t) => {
  const { bucket, smartvm } = await place(t);
  const { stdout } = await smartvm('diff', 'v1.15', 'latest');
  assert.match(stdout, /^--- ci-v1\.15-.*\n\+\+\+ latest-20261008-/);
  assert.match(stdout, /^- CONFIG_IP_NF_FILTER y$/m);
  assert.ok(!bucket.requests.some((line) => /^GET .*(?:squashfs|vmlinux-[\d.]+)$/.test(line)), bucket.requests.join());
  const same = await smartvm('diff', 'latest', '20261008', '--json');
  assert.deepEqual((JSON.parse(same.stdout) as ImageDifference).artifacts, []);
  const unknown = JSON.parse((await smartvm('diff', 'v1.10', 'latest', '--json')).stdout) as ImageDifference;
  assert.equal(unknown.kernelOptions, undefined, 'v1.10 publishes none');
});

test('doctor exits 0 when nothing stands in the way and 1 when something does', async (t) => {
  const { bucket, smartvm } = await place(t);
  const well = await smartvm('doctor');
  assert.deepEqual([well.status, well.stderr], [0, '']);
  assert.match(well.stdout, /^ok {4}latest +would be latest-20261008-/m);
  await bucket.close();
  const ill = await smartvm('doctor', '--json');
  assert.equal(ill.status, 1);
  assert.equal((JSON.parse(ill.stdout) as { ok: boolean }).ok, false);
});

test('inspect --boot-args shows the kernel arguments and what is odd about them', async (t) => {
  const { smartvm } = await place(t);
  await smartvm('ensure', 'latest');
  const { stdout } = await smartvm('inspect', 'latest', '--boot-args');
  assert.match(
    stdout,
    /^console=ttyS0 reboot=k panic=1 pci=off ro rootfstype=squashfs\n- pci=off: Firecracker adds it itself/,
  );
  const facts = await smartvm('inspect', 'latest');
  assert.match(facts.stdout, /^ {2}seen +vmlinux-6\.18\.51: 4096 bytes, as the listing said$/m);
});
