import { rename, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SmartVMError } from '../errors.ts';
import type { Bundle } from '../image.ts';
import type { Blobs } from './blobs.ts';
import { bestEffort, moveDirectory, randomSuffix, statOf, syncDirectory, unlessMissing, writeSynced } from './files.ts';
import type { Layout } from './layout.ts';
import { unlessLeased } from './lease.ts';
import { RECORD_NAME, formatRecord, readRecord, toBundle, type BundleRecord } from './record.ts';
import { discard } from './sweep.ts';

/**
 * Makes a staged bundle durable and visible in one step; a bundle that was there is moved aside for it, and is gone when no
 * machine uses it. When it fails, the bundle that was there is there.
 */
export async function publish(
  layout: Layout,
  blobs: Blobs,
  staging: string,
  dirName: string,
  record: BundleRecord,
): Promise<Bundle> {
  const bundleDir = join(layout.bundles, dirName);
  await writeSynced(join(staging, RECORD_NAME), formatRecord(record), 0o444);
  await syncDirectory(staging);
  await syncDirectory(layout.blobs);
  const created = new Date(record.createdAt);
  const mark = join(layout.used, dirName);
  await writeFile(mark, '', { mode: 0o600 });
  await utimes(mark, created, created);

  const old = join(layout.staging, `${dirName}.${randomSuffix()}.old`);
  const replaced = (await unlessMissing(() => moveDirectory(bundleDir, old).then(() => true))) ?? false;
  try {
    await rename(staging, bundleDir);
    await syncDirectory(layout.bundles);
    await requirePublished(bundleDir, record);
  } catch (error) {
    if (replaced && (await statOf(bundleDir)) === undefined) await rename(old, bundleDir);
    throw error;
  }
  if (replaced) await bestEffort(() => unlessLeased(old, () => discard(layout, blobs, old)));
  return toBundle(bundleDir, record, record.createdAt);
}

/** A file system that says it renamed is not believed: the bundle is looked at where it should be. */
async function requirePublished(bundleDir: string, record: BundleRecord): Promise<void> {
  const published = await readRecord(bundleDir);
  if (typeof published === 'object' && published.createdAt === record.createdAt) return;
  throw new SmartVMError(
    `Failed to publish ${bundleDir}: it was renamed to there, and is not there`,
    'STORE_UNWRITABLE',
    { hint: 'The file system of the cache does not do what it says: name another one with SMARTVM_CACHE_DIR.' },
  );
}
