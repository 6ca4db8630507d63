import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import test from 'node:test';
import { gzipSync } from 'node:zlib';
import { unpackLz4Legacy } from '../../../src/sources/debian/lz4.ts';
import { payloadOf, plainKernel } from '../../../src/sources/debian/vmlinux.ts';

const context = { logger: { warn: () => undefined, info: () => undefined }, onProgress: () => undefined };
const elf = Buffer.concat([Buffer.from('\u007fELF', 'latin1'), Buffer.alloc(100_000, 7)]);

/** A bzImage with one setup sector around a packed kernel, as `boot.rst` draws it. */
function bzImage(packed: Buffer, plainBytes = elf.length): Buffer {
  const head = Buffer.alloc(1024);
  head[0x1f1] = 1;
  head.write('HdrS', 0x202, 'latin1');
  head.writeUInt32LE(16, 0x248);
  head.writeUInt32LE(packed.length + 4, 0x24c);
  const size = Buffer.alloc(4);
  size.writeUInt32LE(plainBytes);
  return Buffer.concat([head, Buffer.alloc(16), packed, size]);
}

test('an ELF kernel is taken out of a bzImage that is packed with gzip', async () => {
  assert.deepEqual(await plainKernel(bzImage(gzipSync(elf)), 'x86_64', tmpdir(), context), elf);
});

test('an LZ4 legacy frame with literals, overlapping matches and long lengths unpacks to what it was', () => {
  // literals "ab", then 20 bytes from 2 back ("abab…"), then the literals "END"
  const block = Buffer.from([0x2f, 0x61, 0x62, 0x02, 0x00, 0x01, 0x30, 0x45, 0x4e, 0x44]);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(block.length);
  const frame = Buffer.concat([Buffer.from([0x02, 0x21, 0x4c, 0x18]), length, block]);
  assert.equal(unpackLz4Legacy(frame, 25).toString(), `${'ab'.repeat(11)}END`);
  assert.throws(() => unpackLz4Legacy(frame, 26), { code: 'BASE_IMAGE_BUILD_FAILED' });
  assert.throws(() => unpackLz4Legacy(frame.subarray(0, -2), 25), { code: 'BASE_IMAGE_BUILD_FAILED' });
  const backTooFar = Buffer.from(frame);
  backTooFar[11] = 0x09;
  assert.throws(() => unpackLz4Legacy(backTooFar, 25), { code: 'BASE_IMAGE_BUILD_FAILED' });
});

const DAMAGED: readonly (readonly [title: string, bytes: Buffer, why: RegExp])[] = [
  ['what is no bzImage', Buffer.alloc(4096), /no bzImage/],
  ['a file of a few bytes', Buffer.from('HdrS'), /no bzImage/],
  ['a bzImage that is cut short', bzImage(gzipSync(elf)).subarray(0, -10), /cut short/],
  ['a size that no kernel has', bzImage(gzipSync(elf), 0xffff_fff0), /unpacks to/],
  ['a way of packing that is not known', bzImage(Buffer.from('????????')), /3f3f3f3f/],
  ['a kernel that is no ELF file', bzImage(gzipSync(Buffer.alloc(elf.length))), /no ELF file/],
];

for (const [title, bytes, why] of DAMAGED) {
  test(`${title} is refused with the reason`, async () => {
    await assert.rejects(plainKernel(bytes, 'x86_64', tmpdir(), context), {
      code: 'BASE_IMAGE_BUILD_FAILED',
      message: why,
    });
  });
}

test('a kernel for aarch64 is taken as it is, or out of its gzip', async () => {
  assert.deepEqual(await plainKernel(gzipSync(elf), 'aarch64', tmpdir(), context), elf);
  assert.deepEqual(await plainKernel(elf, 'aarch64', tmpdir(), context), elf);
});

test('the payload of a bzImage is found behind its setup sectors', () => {
  const { payload, plainBytes } = payloadOf(bzImage(Buffer.from('PACKED')));
  assert.equal(payload.toString('latin1', 0, 6), 'PACKED');
  assert.equal(plainBytes, elf.length);
});
