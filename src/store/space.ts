import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { SmartVMError } from '../errors.ts';
import { unlessMissing } from './files.ts';
import { writing } from './store-error.ts';

const RESERVE_LIMIT_BYTES = 1024 ** 3;

/**
 * Makes sure that `neededBytes` fit on the disk of the cache with 3 % of it (at most 1 GiB) to spare. Nothing needed is
 * nothing to check.
 *
 * Rejects with `STORE_NO_SPACE` and both numbers when they do not.
 */
export async function ensureSpace(root: string, neededBytes: number): Promise<void> {
  if (neededBytes === 0) return;
  const { freeBytes, diskBytes } = await spaceOf(root);
  const reserveBytes = Math.min(Math.ceil(diskBytes * 0.03), RESERVE_LIMIT_BYTES);
  if (freeBytes >= neededBytes + reserveBytes) return;
  throw new SmartVMError(
    `Failed to make room: ${mebi(neededBytes)} are needed and ${mebi(reserveBytes)} kept in reserve, ${mebi(freeBytes)} are free`,
    'STORE_NO_SPACE',
    { hint: 'Remove old bundles with "smartvm prune --keep 1", or name another disk with SMARTVM_CACHE_DIR.' },
  );
}

/** How many bytes are free where this path is, or will be once its missing folders are made. */
export async function freeBytesAt(path: string): Promise<number> {
  for (let folder = path; ; folder = dirname(folder)) {
    const space = await unlessMissing(() => spaceOf(folder));
    if (space !== undefined) return space.freeBytes;
    if (folder === dirname(folder)) return 0;
  }
}

/** Runs work that writes to `path`; when the space runs out the error says how much is free, and needed when that is known. */
export async function sayingSpace<T>(
  step: string,
  path: string,
  neededBytes: number,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await writing(step, work);
  } catch (error) {
    if (!(error instanceof SmartVMError) || error.code !== 'STORE_NO_SPACE') throw error;
    const { freeBytes } = await spaceOf(dirname(path));
    const needed = neededBytes > 0 ? `${mebi(neededBytes)} more are needed, ` : '';
    throw new SmartVMError(`${error.message} (${needed}${mebi(freeBytes)} are free)`, error.code, {
      cause: error.cause ?? error,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
    });
  }
}

async function spaceOf(path: string): Promise<{ readonly freeBytes: number; readonly diskBytes: number }> {
  const { bavail, blocks, bsize } = await statfs(path);
  return { freeBytes: bavail * bsize, diskBytes: blocks * bsize };
}

function mebi(bytes: number): string {
  return `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
}
