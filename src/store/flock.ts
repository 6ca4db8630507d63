import { spawn } from 'node:child_process';
import { SmartVMError, systemCode } from '../errors.ts';

export type LockMode = 'exclusive' | 'shared';

/**
 * Tries to take a kernel lock on an open descriptor, without waiting: true when it is held now. It ends when the descriptor is
 * closed by its last holder, be it by dying.
 *
 * The child of util-linux locks the open file description it inherits, which is ours too, and goes. It is in a group of its
 * own, so that Ctrl-C reaches us and not it.
 */
export async function tryFlock(fd: number, mode: LockMode): Promise<boolean> {
  const status = await new Promise<number | null>((resolve, reject) => {
    const flag = mode === 'exclusive' ? '-x' : '-s';
    const child = spawn('flock', [flag, '-n', '3'], { stdio: ['ignore', 'ignore', 'ignore', fd], detached: true });
    child.on('error', reject);
    child.on('close', resolve);
  }).catch((cause: unknown) => {
    const missing = systemCode(cause) === 'ENOENT';
    throw new SmartVMError(
      `Failed to lock the cache: ${missing ? 'the command flock is not there' : 'flock could not be started'}`,
      'STORE_LOCKED',
      { cause, ...(missing ? { hint: 'Install util-linux: apt-get install util-linux' } : {}), retryable: !missing },
    );
  });
  if (status === 0) return true;
  if (status === 1) return false;
  throw new SmartVMError(`Failed to lock the cache: flock ended with status ${status ?? 'none'}`, 'STORE_LOCKED', {
    hint: 'The file system of the cache may know no locks: name another folder with SMARTVM_CACHE_DIR.',
  });
}
