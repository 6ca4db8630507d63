import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { promisify } from 'node:util';
import { cpioArchive } from '../../../src/sources/debian/cpio.ts';
import { modulesInOrder } from '../../../src/sources/debian/initrd.ts';
import { kernelOf, parseInstalled } from '../../../src/sources/debian/package-set.ts';
import { parseDpkgStatus } from '../../../src/sources/debian/dpkg-status.ts';
import { debianBundle } from '../../support/debian-bundle.ts';

const run = promisify(execFile);

test('modules are loaded after those they need, each once, and built-in ones are left out', () => {
  const dep = [
    'kernel/drivers/block/virtio_blk.ko.xz: kernel/drivers/virtio/virtio.ko.xz kernel/drivers/virtio/virtio_ring.ko.xz',
    'kernel/drivers/virtio/virtio_mmio.ko.xz: kernel/drivers/virtio/virtio_ring.ko.xz kernel/drivers/virtio/virtio.ko.xz',
    'kernel/drivers/virtio/virtio.ko.xz: kernel/drivers/virtio/virtio_ring.ko.xz',
    'kernel/drivers/virtio/virtio_ring.ko.xz:',
    'kernel/sound/snd.ko.xz:',
    '',
  ].join('\n');
  assert.deepEqual(
    modulesInOrder(dep, ['virtio_mmio', 'virtio_blk', 'ext4']).map((path) => path.slice(path.lastIndexOf('/') + 1)),
    ['virtio_ring.ko.xz', 'virtio.ko.xz', 'virtio_mmio.ko.xz', 'virtio_blk.ko.xz'],
  );
});

test('cpio reads our archive: names, modes and contents', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'smartvm-cpio-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const entries = [
    { name: 'bin', mode: 0o755 },
    { name: 'bin/tool', mode: 0o755, bytes: Buffer.from('#!/bin/sh\n') },
    { name: 'empty', mode: 0o644, bytes: Buffer.alloc(0) },
  ];
  const archive = cpioArchive(entries, 1_700_000_000);
  assert.equal(archive.length % 512, 0);
  assert.deepEqual(cpioArchive(entries, 1_700_000_000), archive);
  await writeFile(join(folder, 'a.cpio'), archive);
  const { stdout: listing } = await run('sh', ['-c', 'TZ=UTC cpio -itv --quiet <a.cpio'], { cwd: folder });
  assert.match(
    listing,
    /^drwxr-xr-x +2 root +root +0 Nov 14 +2023 bin\n-rwxr-xr-x +1 root +root +10 Nov 14 +2023 bin\/tool\n-rw-r--r-- .* empty\n$/,
  );
  const { stdout } = await run('sh', ['-c', 'cpio -i --quiet --to-stdout bin/tool <a.cpio'], { cwd: folder });
  assert.equal(stdout, '#!/bin/sh\n');
});

test('the initrd holds just what finds a virtio root', async () => {
  const { initrdPath = '' } = await debianBundle();
  const { stdout } = await run('sh', ['-c', 'gzip -dc "$1" | cpio -it --quiet', 'sh', initrdPath]);
  const names = stdout.trim().split('\n');
  assert.ok(names.includes('init') && names.includes('bin/busybox'));
  const modules = names.filter((name) => name.startsWith('m/'));
  assert.ok(modules.length < 20 && modules.some((name) => name.endsWith('-virtio_blk.ko')), modules.join(' '));
});

test('the packages that apt would install are read, sorted, each once', () => {
  const text =
    'Inst b (2 Debian:12 [amd64])\nConf b (2 x)\nInst a (1:1-1+deb12u1 x) []\nInst b (2 Debian:12 [amd64])\n';
  assert.deepEqual(parseInstalled(text, 'bookworm'), ['a=1:1-1+deb12u1', 'b=2']);
});

test('a suite from which apt would install nothing is refused by name', () => {
  assert.throws(() => parseInstalled('E: nothing\n', 'nosuch'), { code: 'BASE_IMAGE_BUILD_FAILED', message: /nosuch/ });
});

test('the kernel is found among the packages by its versioned name', () => {
  const packages = [
    'linux-base=4.9',
    'linux-image-6.1.0-56-cloud-amd64=6.1.192-2',
    'linux-image-cloud-amd64=6.1.192-2',
  ];
  assert.deepEqual(kernelOf(packages), { version: '6.1.192-2', series: '6.1' });
  assert.throws(() => kernelOf(['a=1']), { code: 'BASE_IMAGE_BUILD_FAILED' });
});

test('of a dpkg status file the installed packages count, not those whose files were removed', () => {
  const status =
    'Package: b\nStatus: install ok installed\nVersion: 2\n\nPackage: c\nStatus: deinstall ok config-files\nVersion: 3\n\nPackage: a\nStatus: install ok installed\nVersion: 1\n';
  assert.deepEqual(parseDpkgStatus(status), ['a=1', 'b=2']);
});
