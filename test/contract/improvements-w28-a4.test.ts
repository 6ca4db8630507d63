import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { BaseImageManager, bootArgsFor, hostArch, planBoot } from 'smartvm';
import { debianBundle } from '../support/debian-bundle.ts';
import { filesBelow } from '../support/files-below.ts';
import { startHttpServer } from '../support/http-server.ts';
import { rejection } from '../support/rejection.ts';
import { KERNEL, ROOTFS, bucketWorld, digestOf, manifestWorld, worldOf } from './contract.fixture.ts';

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const MAIN = join(ROOT, 'src/cli/main.ts');
const SET = ['v1.15/x86_64/vmlinux-6.1.155', 'v1.15/x86_64/ubuntu-24.04.squashfs'];

test('W28: a file of a bundle that became a link is not handed out, and what it leads to is left alone', async (t) => {
  const { ensure, folder } = await manifestWorld(t);
  const bundle = await ensure();
  const elsewhere = join(folder, 'elsewhere');
  await writeFile(elsewhere, ROOTFS);
  await rm(bundle.rootfsPath, { force: true });
  await symlink(elsewhere, bundle.rootfsPath);
  const again = await ensure();
  assert.ok((await readdir(again.bundleDir, { withFileTypes: true })).every((entry) => entry.isFile()));
  assert.deepEqual(await readFile(elsewhere), ROOTFS);
});

test('W29: other bytes under the key of a known object are other bytes of a bundle', async (t) => {
  const { bucket, images } = await bucketWorld(t, SET);
  const old = await images.ensureBaseImage();
  const mended = Buffer.concat([KERNEL, Buffer.from('uploaded again')]);
  bucket.put('firecracker-ci/v1.15/x86_64/vmlinux-6.1.155', mended);
  const fresh = await images.ensureBaseImage();
  assert.equal(fresh.bundleId, old.bundleId);
  assert.deepEqual(await readFile(fresh.kernelImagePath), mended);
});

test('W29: the release of a bundle is the one of now, not the one of the first fetch', async (t) => {
  const { bucket, images } = await bucketWorld(t, SET);
  await images.ensureBaseImage();
  bucket.release = 'v1.15.2';
  assert.equal((await images.ensureBaseImage()).firecrackerVersion, 'v1.15.2');
});

test('W30: what is chosen does not depend on the language of this machine', async (t) => {
  const roots = ['ubuntu-24.04_a.squashfs', 'ubuntu-24.04_B.squashfs', 'ubuntu-24.04_Z.squashfs'];
  const { images } = await bucketWorld(t, [SET[0] ?? '', ...roots.map((name) => `v1.15/x86_64/${name}`)]);
  assert.equal(basename((await images.ensureBaseImage()).rootfsPath), 'ubuntu-24.04_a.squashfs');
});

test('W31: no other program is needed to resolve and fetch', async (t) => {
  const { bucket, folder, images } = await bucketWorld(t, SET);
  const bin = join(folder, 'bin');
  await run('mkdir', [bin]);
  const { stdout } = await run('sh', ['-c', 'command -v flock']);
  await symlink(stdout.trim(), join(bin, 'flock'));
  const { bucketUrl, releasesUrl } = bucket;
  const env = { PATH: bin, HOME: folder, SMARTVM_BUCKET_URL: bucketUrl, SMARTVM_RELEASES_URL: releasesUrl };
  const args = ['--import', 'tsx', MAIN, 'ensure', 'latest', '--json', '--cache-dir', images.getCacheDir()];
  const answer = await run(process.execPath, args, { env });
  assert.equal((JSON.parse(answer.stdout) as { ciVersion: string }).ciVersion, 'v1.15');
});

test('W32: a releases page that is busy is asked again; a set that is named needs none', async (t) => {
  const { bucket, images } = await bucketWorld(t, SET);
  let asked = 0;
  bucket.intercept = (request, response) => {
    if (request.method !== 'HEAD') return false;
    asked += 1;
    if (asked > 1) return false;
    response.writeHead(429, { 'retry-after': '0' }).end();
    return true;
  };
  assert.equal((await images.ensureBaseImage()).ciVersion, 'v1.15');
  const before = bucket.requests.length;
  await images.ensureBaseImage({ reference: 'v1.15' });
  assert.ok(!bucket.requests.slice(before).some((line) => line.startsWith('HEAD')));
});

test('W32: when no release can be found the error says how to go on without one', async (t) => {
  const { images } = await bucketWorld(t, SET, 'v1.16.0-rc1');
  const failure = await rejection(images.ensureBaseImage());
  assert.equal(failure.code, 'VERSION_FETCH_FAILED');
  assert.match(failure.hint ?? '', /v1\.15.*--offline/);
});

test('W33: the library prints nothing; what it has to say goes to the logger', async (t) => {
  const { ensure, images, warnings, manifestPath, write } = await manifestWorld(t, { maxStoredBaseImages: 1 });
  const said: unknown[] = [];
  for (const name of ['log', 'info', 'warn', 'error', 'debug'] as const) {
    t.mock.method(console, name, (...words: unknown[]) => void said.push(...words));
  }
  await ensure({ bundleId: 'a' });
  await ensure({ bundleId: 'b' });
  assert.equal(warnings.length, 1);
  const silent = new BaseImageManager({ cacheDir: images.getCacheDir(), maxStoredBaseImages: 1 });
  await write({ bundleId: 'c' });
  await silent.ensureBaseImage({ manifestPath });
  assert.deepEqual(said, []);
});

test('W34: a squashfs that shall be written is refused, and a read-only root is mounted so', async (t) => {
  const { ensure } = await manifestWorld(t);
  const failure = await rejection(ensure({ rootfsType: 'squashfs', rootfsIsReadOnly: false }));
  assert.match(failure.message, /rootfsIsReadOnly/);
  assert.match((await ensure({ rootfsType: 'ext4', rootfsIsReadOnly: true })).bootArgs, / ro$/);
  for (const bootArgs of [7, ['quiet'], { quiet: true }, 'two\nlines']) {
    assert.match((await rejection(ensure({ bootArgs }))).message, /bootArgs/);
  }
});

test('W35: lts says that its support ended, and when', async (t) => {
  const { images, warnings } = await bucketWorld(t, [
    'v1.7/x86_64/vmlinux-5.10.217',
    'v1.7/x86_64/ubuntu-22.04.squashfs',
  ]);
  assert.equal((await images.ensureBaseImage({ preset: 'lts' })).firecrackerVersion, 'v1.7.0');
  assert.match(warnings.join('\n'), /support ended on 2024-09-18/);
});

for (const name of ['ubuntu-24.04&amp;lt;x.squashfs', 'ubuntu-24.04&<>"\'.squashfs', 'ubuntu-24.04&#65;.squashfs']) {
  test(`W36: the key ${name} is read as it is`, async (t) => {
    const { bucket, images } = await bucketWorld(t, [SET[0] ?? '', `v1.15/x86_64/${name}`]);
    const { source } = await images.ensureBaseImage();
    assert.ok(source.type === 'firecracker-ci');
    assert.equal(source.rootfsKey, `firecracker-ci/v1.15/x86_64/${name}`);
    assert.ok(bucket.requests.includes(`GET firecracker-ci/v1.15/x86_64/${name}`));
  });
}

for (const name of [
  'ubuntu-24.04 a+b.squashfs',
  'ubuntu-24.04%41.squashfs',
  'ubuntu-24.04?x#y.squashfs',
  'ubuntu-ü.squashfs',
]) {
  test(`W37: the key ${name} is asked for as it is`, async (t) => {
    const { bucket, images } = await bucketWorld(t, [SET[0] ?? '', `v1.15/x86_64/${name}`]);
    await images.ensureBaseImage();
    assert.ok(bucket.requests.includes(`GET firecracker-ci/v1.15/x86_64/${name}`), bucket.requests.join());
  });
}

test('W37: another bucket may be named, and is recorded', async (t) => {
  const { bucket, images } = await bucketWorld(t, SET);
  const { source } = await images.ensureBaseImage();
  assert.ok(source.type === 'firecracker-ci' && source.bucketUrl === bucket.bucketUrl);
});

test('W38: every stored file is read-only, whatever the original was', async (t) => {
  const { ensure, folder } = await manifestWorld(t);
  await run('chmod', ['0666', join(folder, 'vmlinux')]);
  await run('chmod', ['0600', join(folder, 'rootfs.ext4')]);
  const { bundleDir, kernelImagePath, rootfsPath } = await ensure();
  for (const path of [kernelImagePath, rootfsPath, join(bundleDir, 'manifest.json')]) {
    assert.equal((await stat(path)).mode & 0o777, 0o444, path);
  }
});

test('W39: bundles can be listed, found, verified and removed; a cache answers offline; a boot can be planned without one', async (t) => {
  const { ensure, images, manifestPath } = await manifestWorld(t);
  const bundle = await ensure();
  assert.equal((await images.listBaseImages()).length, 1);
  assert.equal((await images.findBaseImages('mini'))[0]?.bundleDir, bundle.bundleDir);
  assert.equal((await images.verifyBaseImages([bundle])).ok, true);
  assert.equal((await images.ensureBaseImage({ manifestPath, offline: true })).bundleDir, bundle.bundleDir);
  assert.equal((await images.pruneBaseImages({ keep: 0, dryRun: true })).removed.length, 1);
  await images.removeBaseImage(bundle);
  assert.deepEqual(await images.listBaseImages(), []);
});

test('W39: the command line has a verb for each of these', async () => {
  const { stdout } = await run(process.execPath, ['--import', 'tsx', MAIN, '--help']);
  for (const verb of ['ensure', 'boot', 'list', 'inspect', 'verify', 'remove', 'prune'])
    assert.match(stdout, new RegExp(`\\b${verb}\\b`));
});

test('W40: an installation is one package, and runs no script of anybody', async () => {
  const lock = JSON.parse(await readFile(join(ROOT, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: boolean }>;
  };
  const installed = Object.entries(lock.packages).filter(([path, { dev }]) => path !== '' && dev !== true);
  assert.deepEqual(
    installed.map(([path]) => path),
    [],
  );
  const about = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as Record<string, unknown>;
  for (const kind of ['dependencies', 'optionalDependencies', 'peerDependencies', 'bundleDependencies']) {
    assert.equal(about[kind], undefined, kind);
  }
  const scripts = Object.keys(about['scripts'] as object);
  assert.deepEqual(
    scripts.filter((name) => /^(?:pre|post)?(?:install|prepare)$|^prepublish$/.test(name)),
    [],
  );
});

test('A1: pci=off stands in the bundle, as it always did, and is kept from a machine that would lose its disk by it', async () => {
  const bundle = await debianBundle();
  assert.equal(bundle.bootArgs, bootArgsFor(bundle.arch, 'squashfs', true));
  assert.match(bundle.bootArgs, /\bpci=off\b/);
  const { kernelCommandLine } = await planBoot(bundle, { vmm: 'qemu', accelerator: 'tcg' });
  assert.match(kernelCommandLine, /\bconsole=/);
  assert.doesNotMatch(kernelCommandLine, /pci=off/);
});

test('A2: on a machine of another architecture the default is told aloud', async (t) => {
  const { folder, images, warnings } = await worldOf(t);
  const isOther = hostArch() !== 'x86_64';
  await rejection(images.ensureBaseImage({ manifestPath: join(folder, 'none.json') }));
  assert.equal(
    warnings.some((text) => text.includes('cannot boot it')),
    isOther,
  );
  const other = process.arch;
  Object.defineProperty(process, 'arch', { value: 'arm64' });
  t.after(() => Object.defineProperty(process, 'arch', { value: other }));
  await rejection(images.ensureBaseImage({ manifestPath: join(folder, 'none.json') }));
  assert.match(warnings.join('\n'), /using x86_64, but this machine is aarch64/);
});

test('A3: a failed call leaves no folder behind', async (t) => {
  const { ensure, images } = await manifestWorld(t);
  await ensure();
  const before = (await filesBelow(images.getCacheDir())).filter((path) => !path.startsWith('v1/locks/'));
  const server = await startHttpServer((_request, response) => response.writeHead(404).end());
  t.after(() => server.close());
  const kernel = { url: `${server.origin}/k`, sha256: digestOf('never stored') };
  await rejection(ensure({ bundleId: 'gone', kernel }));
  await rejection(ensure({ bundleId: 'bad', kernel: { path: '/dev/null' } }));
  const after = (await filesBelow(images.getCacheDir())).filter((path) => !path.startsWith('v1/locks/'));
  assert.deepEqual(after, before);
});

test('A4: what lies beside kernels and root file systems is taken for neither', async (t) => {
  const beside = [
    'vmlinux-6.1.999.config',
    'vmlinux-6.1.999-no-acpi',
    'bzImage-6.1.999',
    'debug/vmlinux-6.1.999',
    'ubuntu-99.04.manifest',
    'ubuntu-99.04.id_rsa',
    'amazonlinux-2023.squashfs',
    'initramfs.cpio',
  ];
  const { images } = await bucketWorld(t, [...SET, ...beside.map((name) => `v1.15/x86_64/${name}`)]);
  const { kernelImagePath, rootfsPath } = await images.ensureBaseImage();
  assert.deepEqual([basename(kernelImagePath), basename(rootfsPath)], ['vmlinux-6.1.155', 'ubuntu-24.04.squashfs']);
});
