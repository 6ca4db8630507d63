import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import type { Arch } from '../image.ts';

/** `elf`: an uncompressed vmlinux; `bzimage`: x86's compressed form; `arm64-image`: the PE-wrapped Image. */
export type KernelFormat = 'elf' | 'bzimage' | 'arm64-image';

export type FileVerdict<Format> =
  | { readonly format: Format; readonly arch: Arch | undefined; readonly problem?: undefined }
  | { readonly format?: undefined; readonly problem: string };

const ELF_MACHINES: Readonly<Record<number, Arch>> = { 62: 'x86_64', 183: 'aarch64' };

/**
 * What kind of kernel a file is, by its own words: ELF `7f 45 4c 46`, `HdrS` at 0x202, `ARM\x64` at 0x38 (Linux:
 * Documentation/arch/x86/boot.rst, arch/arm64/booting.rst). A file that is cut short is told from a whole one.
 */
export async function recogniseKernel(path: string): Promise<FileVerdict<KernelFormat>> {
  return await withHead(path, 4096, async (head, handle, bytes) => {
    if (head.subarray(0, 4).equals(Buffer.from([0x7f, 0x45, 0x4c, 0x46])))
      return await recogniseElf(head, handle, bytes);
    if (head.length > 0x40 && head.toString('latin1', 0x38, 0x3c) === 'ARM\x64')
      return { format: 'arm64-image', arch: 'aarch64' };
    if (head.length > 0x250 && head.toString('latin1', 0x202, 0x206) === 'HdrS') return recogniseBzImage(head, bytes);
    return { problem: `is no kernel: it begins with ${head.toString('hex', 0, Math.min(8, head.length))}` };
  });
}

/** What kind of root file system a file holds: `hsqs`, or ext's `53 ef` at 1080. A squashfs that is cut short is told. */
export async function recogniseRootfs(path: string): Promise<FileVerdict<'squashfs' | 'ext4'>> {
  return await withHead(path, 2048, (head, _handle, bytes) => {
    if (head.toString('latin1', 0, 4) === 'hsqs' && head.length >= 96) {
      const used = head.readBigUInt64LE(40);
      if (used > BigInt(bytes))
        return { problem: `is cut short: its squashfs uses ${used} bytes, the file has ${bytes}` };
      return { format: 'squashfs', arch: undefined };
    }
    if (head.length > 1082 && head.readUInt16LE(1080) === 0xef53) return { format: 'ext4', arch: undefined };
    return {
      problem: `holds neither squashfs nor ext4: it begins with ${head.toString('hex', 0, Math.min(8, head.length))}`,
    };
  });
}

async function withHead<T>(
  path: string,
  headBytes: number,
  look: (head: Buffer, handle: FileHandle, bytes: number) => T | Promise<T>,
): Promise<T | { readonly problem: string }> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stats = await handle.stat();
    if (!stats.isFile()) return { problem: 'is not a regular file' };
    if (stats.size === 0) return { problem: 'is empty' };
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(headBytes), 0, headBytes, 0);
    return await look(buffer.subarray(0, bytesRead), handle, stats.size);
  } finally {
    await handle.close();
  }
}

async function recogniseElf(head: Buffer, handle: FileHandle, bytes: number): Promise<FileVerdict<KernelFormat>> {
  const arch = head.length >= 64 && head[4] === 2 ? ELF_MACHINES[head.readUInt16LE(18)] : undefined;
  if (arch === undefined) return { problem: 'is an ELF file for a machine that is neither x86_64 nor aarch64' };
  const table = Number(head.readBigUInt64LE(32));
  const entryBytes = head.readUInt16LE(54);
  const entries = head.readUInt16LE(56);
  const headers = Buffer.alloc(entryBytes * entries);
  const { bytesRead } = await handle.read(headers, 0, headers.length, table);
  if (bytesRead < headers.length || entryBytes < 56)
    return { problem: 'is cut short: its program headers are not whole' };
  for (let at = 0; at < headers.length; at += entryBytes) {
    const end = headers.readBigUInt64LE(at + 8) + headers.readBigUInt64LE(at + 32);
    if (end > BigInt(bytes)) return { problem: `is cut short: a segment ends at byte ${end}, the file has ${bytes}` };
  }
  return { format: 'elf', arch };
}

/** The protected-mode part is `syssize` paragraphs of 16 bytes behind the setup sectors. */
function recogniseBzImage(head: Buffer, bytes: number): FileVerdict<KernelFormat> {
  const setupBytes = ((head[0x1f1] || 4) + 1) * 512;
  const end = setupBytes + head.readUInt32LE(0x1f4) * 16;
  // The last paragraph may be filled up.
  if (end - 15 > bytes) return { problem: `is cut short: the kernel ends at byte ${end}, the file has ${bytes}` };
  return { format: 'bzimage', arch: 'x86_64' };
}
