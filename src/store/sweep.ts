import { lstatSync } from 'node:fs';
import { readdir, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Blobs } from './blobs.ts';
import { SOON_MS } from './evictions.ts';
import { namesNow, statOf, unlessMissing } from './files.ts';
import { KnownContents } from './known-contents.ts';
import type { Layout } from './layout.ts';
import { unlessLeased } from './lease.ts';
import { tryLock } from './lock.ts';
import { filesOf, readRecord } from './record.ts';
import { inSlices } from './slices.ts';
import { isPartial, partialKeys, sweepPartial } from './sweep-partial.ts';

const QUARANTINE_KEPT_MS = 24 * 60 * 60_000;
/** Nobody takes this long to write a small file. */
const HALF_WRITTEN_KEPT_MS = 60 * 60_000;
/** So often is all looked through, though nothing says that there is anything to find. */
const SWEEP_EVERY_MS = 24 * 60 * 60_000;
const IS_DIGEST = /^[0-9a-f]{64}$/;

/**
 * Clears what an earlier attempt at this bundle left behind, and at these contents. To be called under the lock of its key. An
 * old bundle that was moved aside for a new one which then never came is put back; one that is still in use is left until it is
 * not. True when anything was cleared: then there may be more that nobody names, and the next sweep looks through all.
 */
export async function sweepKey(
  layout: Layout,
  blobs: Blobs,
  dirName: string,
  contentKeys: readonly string[] = [],
): Promise<boolean> {
  const staged = (await unlessMissing(() => readdir(layout.staging))) ?? [];
  for (const key of partialKeys(staged).filter((one) => contentKeys.includes(one))) await sweepPartial(layout, key);
  const left = staged.filter((name) => keyOf(name) === dirName);
  // Before anything is cleared: whoever is killed on the way has said it.
  if (left.length > 0) await rm(layout.swept, { force: true });
  const home = join(layout.bundles, dirName);
  let cleared = false;
  for (const name of left) {
    const path = join(layout.staging, name);
    if (name.endsWith('.old') && (await statOf(home)) === undefined) await rename(path, home);
    else cleared = (await unlessLeased(path, () => discard(layout, blobs, path))) !== undefined || cleared;
  }
  return cleared;
}

/**
 * Clears what nobody owns any more: attempts and partial files of processes that died; and content without a bundle, old
 * quarantine and half-written files, when something says that there may be any, or a day has passed since they were looked for.
 */
export async function sweepAll(layout: Layout, blobs: Blobs): Promise<void> {
  const cleared = await sweepStaging(layout, blobs);
  if (!cleared && !isSweepDue(layout)) return;
  // The time is set in the end, if the mark is still there: whoever leaves something meanwhile takes it away.
  await writeFile(layout.swept, '', { mode: 0o600 });
  await utimes(layout.swept, 0, 0);
  await sweepRest(layout, blobs);
  const now = new Date();
  await unlessMissing(() => utimes(layout.swept, now, now));
}

async function sweepStaging(layout: Layout, blobs: Blobs): Promise<boolean> {
  const staged = namesNow(layout.staging);
  for (const key of partialKeys(staged)) await sweepPartial(layout, key);
  let cleared = false;
  for (const dirName of new Set(staged.filter((name) => !isPartial(name)).map(keyOf))) {
    const swept = await tryLock(join(layout.locks, `${dirName}.lock`), () => sweepKey(layout, blobs, dirName));
    cleared = swept?.result === true || cleared;
  }
  return cleared;
}

function isSweepDue({ swept }: Layout): boolean {
  const ageMs = Date.now() - (lstatSync(swept, { throwIfNoEntry: false })?.mtimeMs ?? 0);
  return !(ageMs >= 0 && ageMs < SWEEP_EVERY_MS);
}

async function sweepRest(layout: Layout, blobs: Blobs): Promise<void> {
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
  const contents = ((await unlessMissing(() => readdir(layout.blobs))) ?? []).filter((name) => IS_DIGEST.test(name));
  const linkCounts = await inSlices(
    contents,
    (name) => lstatSync(join(layout.blobs, name), { throwIfNoEntry: false })?.nlink,
  );
  for (const [i, name] of contents.entries()) {
    if (linkCounts[i] === 1) await blobs.dropIfUnused(name);
  }
  await forgetContents(layout);
}

/** What an artifact turned out to be is worth knowing while its content is here. */
async function forgetContents(layout: Layout): Promise<void> {
  const contents = new Set((await unlessMissing(() => readdir(layout.blobs))) ?? []);
  const known = new KnownContents(layout);
  for (const name of (await unlessMissing(() => readdir(layout.remembered))) ?? []) {
    if (/^[0-9a-f]{64}\.json$/.test(name)) await known.forgetUnless(name, (sha256) => contents.has(sha256));
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
