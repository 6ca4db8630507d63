import { open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { SmartVMError } from '../../errors.ts';
import type { Arch, Context } from '../../image.ts';
import { LZ4_LEGACY_MAGIC, unpackLz4Legacy } from './lz4.ts';
import { runTool } from './run-tool.ts';

const GZIP_MAGIC = Buffer.from([0x1f, 0x8b]);
const ZSTD_MAGIC = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);
const XZ_MAGIC = Buffer.from([0xfd, 0x37, 0x7a, 0x58]);
const ELF_MAGIC = Buffer.from([0x7f, 0x45, 0x4c, 0x46]);
/** Larger than any kernel; what a damaged header asks for beyond it is not allocated. */
const MAX_KERNEL_BYTES = 512 * 1024 * 1024;

/**
 * The kernel in the form every machine takes, out of what Debian ships: an ELF `vmlinux` on x86_64 (Firecracker takes a bzImage
 * from v1.17 on only), an uncompressed Image on aarch64. Rejects with `BASE_IMAGE_BUILD_FAILED`.
 */
export async function plainKernel(vmlinuz: Buffer, arch: Arch, workDir: string, context: Context): Promise<Buffer> {
  if (arch === 'aarch64') return startsWith(vmlinuz, GZIP_MAGIC) ? gunzipSync(vmlinuz) : vmlinuz;
  const { payload, plainBytes } = payloadOf(vmlinuz);
  const plain = await unpack(payload, plainBytes, workDir, context);
  if (!startsWith(plain, ELF_MAGIC) || plain.length !== plainBytes)
    throw unreadable('what is packed in it is no ELF file of the size it says');
  return plain;
}

/** Where the packed kernel lies in a bzImage (Linux: Documentation/arch/x86/boot.rst, `payload_offset`, `payload_length`). */
export function payloadOf(bzImage: Buffer): { readonly payload: Buffer; readonly plainBytes: number } {
  if (bzImage.length < 0x250 || bzImage.toString('latin1', 0x202, 0x206) !== 'HdrS')
    throw unreadable('it is no bzImage');
  const setupBytes = ((bzImage[0x1f1] || 4) + 1) * 512;
  const start = setupBytes + bzImage.readUInt32LE(0x248);
  const end = start + bzImage.readUInt32LE(0x24c);
  if (end > bzImage.length || end - start < 8) throw unreadable('it is cut short');
  const plainBytes = bzImage.readUInt32LE(end - 4);
  if (plainBytes > MAX_KERNEL_BYTES) throw unreadable(`it says that it unpacks to ${plainBytes} bytes`);
  return { payload: bzImage.subarray(start, end), plainBytes };
}

async function unpack(payload: Buffer, plainBytes: number, workDir: string, context: Context): Promise<Buffer> {
  if (startsWith(payload, LZ4_LEGACY_MAGIC)) return unpackLz4Legacy(payload.subarray(0, -4), plainBytes);
  if (startsWith(payload, GZIP_MAGIC))
    return gunzipSync(payload.subarray(0, -4), { maxOutputLength: MAX_KERNEL_BYTES });
  const tool = startsWith(payload, ZSTD_MAGIC) ? 'zstd' : startsWith(payload, XZ_MAGIC) ? 'xz' : undefined;
  if (tool === undefined)
    throw unreadable(`it is packed in a way that is not known (${payload.toString('hex', 0, 4)})`);
  return await unpackWith(tool, payload.subarray(0, -4), workDir, context);
}

async function unpackWith(tool: string, packed: Buffer, workDir: string, context: Context): Promise<Buffer> {
  const [from, to] = [join(workDir, 'kernel.packed'), join(workDir, 'kernel.plain')];
  await writeFile(from, packed);
  const output = await open(to, 'wx');
  try {
    await runTool(tool, ['-dc', from], context, { outputFd: output.fd });
  } finally {
    await output.close();
  }
  return await readFile(to);
}

function startsWith(bytes: Buffer, magic: Buffer): boolean {
  return bytes.subarray(0, magic.length).equals(magic);
}

function unreadable(why: string): SmartVMError {
  return new SmartVMError(`Failed to unpack the kernel: ${why}`, 'BASE_IMAGE_BUILD_FAILED');
}
