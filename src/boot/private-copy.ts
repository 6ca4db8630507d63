import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { chmod, copyFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { SmartVMError, systemCode } from '../errors.ts';

const run = promisify(execFile);
/** What file systems answer that cannot share blocks between files, or not between these two. */
const NO_REFLINK = ['ENOTSUP', 'EOPNOTSUPP', 'EXDEV', 'EINVAL', 'ENOSYS', 'ENOTTY'];

/**
 * Makes a writable copy of a file that shares its blocks where the file system can, and keeps its holes where it cannot
 * (Node's own copy fills them). Rejects with `MACHINE_BOOT_FAILED`.
 */
export async function privateCopy(from: string, to: string, signal: AbortSignal | undefined): Promise<void> {
  try {
    await copyFile(from, to, constants.COPYFILE_FICLONE_FORCE | constants.COPYFILE_EXCL).catch(
      async (error: unknown) => {
        if (!NO_REFLINK.includes(systemCode(error) ?? '')) throw error;
        await run('cp', ['--sparse=always', '--', from, to], signal === undefined ? {} : { signal });
      },
    );
    await chmod(to, 0o600);
  } catch (cause) {
    signal?.throwIfAborted();
    throw new SmartVMError(`Failed to copy the root file system ${from} to ${to}`, 'MACHINE_BOOT_FAILED', {
      cause,
      hint: 'A writable root needs a copy: make room in the temporary folder, or name another one with TMPDIR.',
    });
  }
}
