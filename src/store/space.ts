import { statfs } from 'node:fs/promises';
import { SmartVMError } from '../errors.ts';

const RESERVE_LIMIT_BYTES = 1024 ** 3;

/**
 * Makes sure that `neededBytes` fit on the disk of the cache with 3 % of it (at most 1 GiB) to spare.
 *
 * Rejects with `STORE_NO_SPACE` and both numbers when they do not.
 */
export async function ensureSpace(root: string, neededBytes: number): Promise<void> {
  const { bavail, blocks, bsize } = await statfs(root);
  const freeBytes = bavail * bsize;
  const reserveBytes = Math.min(Math.ceil(blocks * bsize * 0.03), RESERVE_LIMIT_BYTES);
  if (freeBytes >= neededBytes + reserveBytes) return;
  throw new SmartVMError(
    `Failed to make room: ${mebi(neededBytes)} are needed and ${mebi(reserveBytes)} kept in reserve, ${mebi(freeBytes)} are free`,
    'STORE_NO_SPACE',
    { hint: 'Remove old bundles with "smartvm prune --keep 1", or name another disk with SMARTVM_CACHE_DIR.' },
  );
}

function mebi(bytes: number): string {
  return `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
}
