import assert from 'node:assert/strict';
import { mkdtemp, open, rm, truncate, writeFile, copyFile, chmod } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { recogniseKernel, recogniseRootfs } from '../../src/vmm/kernel-format.ts';
import { debianBundle } from '../support/debian-bundle.ts';

test('a real kernel and a real root file system are recognised', async () => {
  const bundle = await debianBundle();
  assert.deepEqual(await recogniseKernel(bundle.kernelImagePath), {
    format: bundle.arch === 'x86_64' ? 'elf' : 'arm64-image',
    arch: bundle.arch,
  });
  assert.deepEqual(await recogniseRootfs(bundle.rootfsPath), { format: 'squashfs', arch: undefined });
});

test('a kernel and a root file system that are cut short are told from whole ones', async (t) => {
  const bundle = await debianBundle();
  const path = await fileOf(t, Buffer.alloc(0));
  for (const [source, recognise, lost] of [
    [bundle.kernelImagePath, recogniseKernel, 20_000_000],
    [bundle.rootfsPath, recogniseRootfs, 5000],
  ] as const) {
    await copyFile(source, path);
    await chmod(path, 0o600);
    const handle = await open(path);
    const { size } = await handle.stat();
    await handle.close();
    await truncate(path, size - lost);
    assert.match((await recognise(path)).problem ?? '', /cut short/);
  }
});

const NO_KERNELS: readonly (readonly [title: string, bytes: Buffer, problem: RegExp])[] = [
  ['an empty file', Buffer.alloc(0), /is empty/],
  ['a web page', Buffer.from('<!doctype html><title>Sign in</title>'), /no kernel: it begins with 3c21646f/],
  ['four bytes', Buffer.from('\u007fELF', 'latin1'), /ELF file for a machine/],
  ['a program for another machine', elfHeader(243), /neither x86_64 nor aarch64/],
  ['an ELF header and nothing behind it', elfHeader(62), /cut short/],
  ['a bzImage without its kernel', bzImageHeader(1000), /cut short/],
];

for (const [title, bytes, problem] of NO_KERNELS) {
  test(`${title} is no kernel that boots, and the reason is told`, async (t) => {
    assert.match((await recogniseKernel(await fileOf(t, bytes))).problem ?? '', problem);
  });
}

test('bzImage and arm64’s Image are recognised by their magic', async (t) => {
  assert.deepEqual(await recogniseKernel(await fileOf(t, bzImageHeader(0))), { format: 'bzimage', arch: 'x86_64' });
  const image = Buffer.alloc(256);
  image.write('ARM\x64', 0x38, 'latin1');
  assert.deepEqual(await recogniseKernel(await fileOf(t, image)), { format: 'arm64-image', arch: 'aarch64' });
});

test('a directory is no kernel', async () => {
  assert.deepEqual(await recogniseKernel(tmpdir()), { problem: 'is not a regular file' });
});

async function fileOf(t: TestContext, bytes: Buffer): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'smartvm-format-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, 'file');
  await writeFile(path, bytes);
  return path;
}

function elfHeader(machine: number): Buffer {
  const header = Buffer.alloc(64);
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  header.writeUInt16LE(machine, 18);
  header.writeBigUInt64LE(64n, 32);
  header.writeUInt16LE(56, 54);
  header.writeUInt16LE(3, 56);
  return header;
}

/** One setup sector, the boot sector, and a promise of `paragraphs` times 16 bytes. */
function bzImageHeader(paragraphs: number): Buffer {
  const header = Buffer.alloc(1024);
  header[0x1f1] = 1;
  header.writeUInt32LE(paragraphs, 0x1f4);
  header.write('HdrS', 0x202, 'latin1');
  return header;
}
