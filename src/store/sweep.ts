import { readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Blobs } from './blobs.ts';
import { SOON_MS } from './evictions.ts';
import { statOf, unlessMissing } from './files.ts';
import type { Layout } from './layout.ts';
import { unlessLeased } from './lease.ts';
import { tryLock } from './lock.ts';
import { filesOf, readRecord } from './record.ts';

const QUARANTINE_KEPT_MS = 24 * 60 * 60_000;
/** Nobody takes this long to write a small file. */
const HALF_WRITTEN_KEPT_MS = 60 * 60_000;

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
    if (await isOlderThan(path, QUARANTINE_KEPT_MS)) await discard(layout, blobs, path);
  }
  for (const name of (await unlessMissing(() => readdir(layout.used))) ?? []) {
    const path = join(layout.used, name);
    if (name.includes('.evicted') && (await isOlderThan(path, SOON_MS))) await rm(path, { force: true });
  }
  for (const folder of [layout.stamps, layout.remembered]) {
    for (const name of (await unlessMissing(() => readdir(folder))) ?? []) {
      const path = join(folder, name);
      if (!name.endsWith('.json') && (await isOlderThan(path, HALF_WRITTEN_KEPT_MS))) await rm(path, { force: true });
    }
  }
  for (const name of (await unlessMissing(() => readdir(layout.blobs))) ?? []) {
    if (/^[0-9a-f]{64}$/.test(name)) await blobs.dropIfUnused(name);
  }
}

/**
 * Removes a directory in staging or quarantine with all links it holds. `files` names the contents of one that has no record
 * yet; neighbours that share a content which nobody names have it hashed again on their next use.
 */
export async function discard(
  layout: Layout,
  blobs: Blobs,
  path: string,
  files: ReadonlyMap<string, string> = new Map(),
): Promise<void> {
  if (![layout.staging, layout.quarantine].some((folder) => path === join(folder, basename(path)))) {
    throw new TypeError(`${path} lies neither in staging nor in quarantine`);
  }
  const record =
    (await statOf(path))?.isDirectory() === true ? await readRecord(path, keyOf(basename(path))) : undefined;
  const recorded =
    record === undefined || record === 'damaged'
      ? []
      : filesOf(record).map(([, { fileName, sha256 }]) => [fileName, sha256] as const);
  for (const [fileName, sha256] of new Map([...files, ...recorded])) await blobs.drop(join(path, fileName), sha256);
  await rm(path, { recursive: true, force: true });
}

async function isOlderThan(path: string, ageMs: number): Promise<boolean> {
  const stats = await unlessMissing(() => stat(path));
  return stats !== undefined && Date.now() - stats.ctimeMs > ageMs;
}

/** `<bundle dir name>.<24 hex>[.old|.trash]`: the name of the bundle an entry of staging is about. */
function keyOf(stagingName: string): string {
  return stagingName.replace(/\.[0-9a-f]{24}(?:\.old|\.trash)?$/, '');
}
