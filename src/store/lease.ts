import { stat, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SmartVMError, systemCode } from '../errors.ts';
import { openForReading, unlessMissing } from './files.ts';
import { tryFlock } from './flock.ts';
import { reading } from './store-error.ts';

/**
 * A bundle in use: while the descriptor is open in any process, the bundle is neither pruned nor removed. A child that
 * inherits `fd` keeps the lease until it ends, whatever becomes of this process.
 */
export interface Lease {
  readonly fd: number;
  /** Closes our descriptor; the lease ends with the last copy of it. */
  release(): Promise<void>;
}

/** Whoever removes a bundle, or only asks whether it may, holds it for milliseconds: a lease that meets them waits this long. */
const WAIT_MS = 10_000;
const POLL_MS = 20;

/**
 * Takes a lease on a bundle: a shared kernel lock on its record, which needs no write access.
 *
 * Rejects with `BASE_IMAGE_NOT_CACHED` when the bundle is gone, `STORE_LOCKED` when it is held for removal and does not go.
 */
export async function leaseBundle(bundleDir: string): Promise<Lease> {
  const record = join(bundleDir, 'manifest.json');
  const handle = await openRecord(record);
  if (handle === undefined) throw gone(bundleDir);
  try {
    const deadline = performance.now() + WAIT_MS;
    while (!(await tryFlock(handle.fd, 'shared'))) {
      if (!(await isStill(record, handle))) throw gone(bundleDir);
      if (performance.now() > deadline) throw heldForRemoval(bundleDir);
      await sleep(POLL_MS);
    }
    if (!(await isStill(record, handle))) throw gone(bundleDir);
  } catch (error) {
    await handle.close();
    throw error;
  }
  return { fd: handle.fd, release: () => handle.close() };
}

/**
 * Runs `work` while nobody can take a lease on the bundle; `undefined`, and nothing is run, when somebody has one.
 * A bundle whose record is gone has no leases.
 */
export async function unlessLeased<T>(
  bundleDir: string,
  work: () => Promise<T>,
): Promise<{ readonly result: T } | undefined> {
  const handle = await openRecord(join(bundleDir, 'manifest.json'));
  if (handle === undefined) return { result: await work() };
  try {
    return (await tryFlock(handle.fd, 'exclusive')) ? { result: await work() } : undefined;
  } finally {
    await handle.close();
  }
}

async function openRecord(record: string): Promise<FileHandle | undefined> {
  return await reading(`lease ${record}`, async () => {
    try {
      return await openForReading(record);
    } catch (error) {
      if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes(systemCode(error) ?? '')) return undefined;
      throw error;
    }
  });
}

/** A bundle that was moved away between opening and locking is no longer the one at that path. */
async function isStill(path: string, handle: FileHandle): Promise<boolean> {
  const now = await unlessMissing(() => stat(path));
  const held = await handle.stat();
  return now?.ino === held.ino && now.dev === held.dev;
}

function gone(bundleDir: string): SmartVMError {
  return new SmartVMError(`Failed to lease ${bundleDir}: the bundle is gone`, 'BASE_IMAGE_NOT_CACHED', {
    hint: 'Ensure the image again.',
    retryable: true,
  });
}

function heldForRemoval(bundleDir: string): SmartVMError {
  return new SmartVMError(
    `Failed to lease ${bundleDir}: for ${WAIT_MS} ms another process has held it`,
    'STORE_LOCKED',
    {
      hint: 'It is being removed, or somebody else locks its manifest.json; ask again.',
      retryable: true,
    },
  );
}
