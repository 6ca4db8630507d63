import { readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Blobs } from './blobs.ts';
import { statOf, unlessMissing } from './files.ts';
import type { Layout } from './layout.ts';
import { unlessLeased } from './lease.ts';
import { tryLock } from './lock.ts';
import { filesOf, readRecord } from './record.ts';

const QUARANTINE_KEPT_MS = 24 * 60 * 60_000;

/**
 * Clears what an earlier attempt at this bundle left behind. To be called under the lock of its key. An old bundle that was
 * moved aside for a new one which then never came is put back; one that is still in use is left until it is not.
 */
export async function sweepKey(layout: Layout, blobs: Blobs, dirName: string): Promise<void> {
  const left = ((await unlessMissing(() => readdir(layout.staging))) ?? []).filter((name) => keyOf(name) === dirName);
  const home = join(layout.bundles, dirName);
  for (const name of left) {
    const path = join(layout.staging, name);
    if (name.endsWith('.old') && (await statOf(home)) === undefined) await rename(path, home);
    else await unlessLeased(path, () => discard(layout, blobs, path));
  }
}

/** Clears what nobody owns any more: attempts of processes that died, content without a bundle, old quarantine. */
export async function sweepAll(layout: Layout, blobs: Blobs): Promise<void> {
  const staged = (await unlessMissing(() => readdir(layout.staging))) ?? [];
  for (const dirName of new Set(staged.map(keyOf))) {
    await tryLock(join(layout.locks, `${dirName}.lock`), () => sweepKey(layout, blobs, dirName));
  }
  for (const name of (await unlessMissing(() => readdir(layout.quarantine))) ?? []) {
    const path = join(layout.quarantine, name);
    const { ctimeMs } = await stat(path);
    if (Date.now() - ctimeMs > QUARANTINE_KEPT_MS) await rm(path, { recursive: true, force: true });
  }
  for (const name of (await unlessMissing(() => readdir(layout.blobs))) ?? []) {
    if (/^[0-9a-f]{64}$/.test(name)) await blobs.dropIfUnused(name);
  }
}

/** Removes a directory in staging with all links it holds. */
export async function discard(layout: Layout, blobs: Blobs, path: string): Promise<void> {
  if (!path.startsWith(`${layout.staging}/`)) throw new TypeError(`${path} does not lie in staging`);
  const names = (await unlessMissing(() => readdir(path))) ?? [];
  const record = await readRecord(path);
  if (record !== undefined && record !== 'damaged') {
    for (const [, { fileName, sha256 }] of filesOf(record)) {
      if (names.includes(fileName)) await blobs.drop(join(path, fileName), sha256);
    }
  }
  await rm(path, { recursive: true, force: true });
}

/** `<bundle dir name>.<24 hex>[.old|.trash]`: the name of the bundle an entry of staging is about. */
function keyOf(stagingName: string): string {
  return stagingName.replace(/\.[0-9a-f]{24}(?:\.old|\.trash)?$/, '');
}
