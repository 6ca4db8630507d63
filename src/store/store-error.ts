import { SmartVMError, isAbortError, messageOf, systemCode, type SmartVMErrorCode } from '../errors.ts';

const CODES: Readonly<Record<string, readonly [SmartVMErrorCode, string]>> = {
  ENOSPC: ['STORE_NO_SPACE', 'Make room on that disk, or name another one with SMARTVM_CACHE_DIR.'],
  EDQUOT: ['STORE_NO_SPACE', 'Your quota is used up: make room, or name another disk with SMARTVM_CACHE_DIR.'],
  EFBIG: ['STORE_NO_SPACE', 'A limit on the size of files is in force (ulimit -f).'],
  EROFS: [
    'STORE_UNWRITABLE',
    'The cache lies on a read-only file system: what is in it can be used, nothing can be added.',
  ],
  EACCES: ['STORE_UNWRITABLE', 'Mend the permissions of the cache, or name another folder with SMARTVM_CACHE_DIR.'],
  EPERM: ['STORE_UNWRITABLE', 'Mend the permissions of the cache, or name another folder with SMARTVM_CACHE_DIR.'],
};

/** Runs work that writes; what the operating system refuses becomes one `STORE_…` error that names the step. */
export async function writing<T>(step: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const code = systemCode(error);
    if (error instanceof SmartVMError || isAbortError(error) || code === undefined) throw error;
    const [known, hint] = CODES[code] ?? ['STORE_UNWRITABLE', undefined];
    throw new SmartVMError(`Failed to ${step}: ${messageOf(error)}`, known, {
      cause: error,
      ...(hint === undefined ? {} : { hint }),
    });
  }
}

/** Runs work that reads; an unreadable cache is an error, never an empty one. */
export async function reading<T>(step: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof SmartVMError || isAbortError(error) || systemCode(error) === undefined) throw error;
    throw new SmartVMError(`Failed to ${step}: ${messageOf(error)}`, 'STORE_UNREADABLE', {
      cause: error,
      hint: 'Nothing was changed. Mend the permissions or the disk of the cache and ask again.',
    });
  }
}
