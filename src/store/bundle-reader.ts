import { lstatSync } from 'node:fs';
import { readdir, utimes, writeFile } from 'node:fs/promises';
import { join, sep } from 'node:path';
import type { Bundle } from '../image.ts';
import type { Blobs, CheckOptions } from './blobs.ts';
import { bestEffort, statOf, unlessMissing } from './files.ts';
import type { Layout } from './layout.ts';
import { RECORD_NAME, filesOf, readRecord, readRecordNow, toBundle, type BundleRecord } from './record.ts';
import { sortByWorth } from './retention.ts';
import { inSlices } from './slices.ts';

/** A bundle, or in words what is wrong with it. */
export type Found = { readonly bundle: Bundle } | { readonly problem: readonly string[] };

/** Reads bundles out of a cache that was found to be ours. Writes stamps and marks of use where it can, and nothing else. */
export class BundleReader {
  readonly #layout: Layout;
  readonly #blobs: Blobs;

  constructor(layout: Layout, blobs: Blobs) {
    this.#layout = layout;
    this.#blobs = blobs;
  }

  /** The bundle in this directory with its use marked, or the first thing wrong with it; `undefined` when there is none. */
  async find(dirName: string, check: CheckOptions): Promise<Found | undefined> {
    const record = await this.#recordOf(dirName);
    if (record === undefined || 'problem' in record) return record;
    const [problem] = await this.#problems(dirName, record, check, 1);
    if (problem !== undefined) return { problem: [problem] };
    const lastUse = await this.#markUse(dirName, record);
    return { bundle: toBundle(join(this.#layout.bundles, dirName), record, lastUse) };
  }

  /** All that is wrong with the bundle in this directory, after a full hash of every file. Does not count as a use. */
  async problemsWith(dirName: string, signal: AbortSignal | undefined): Promise<readonly string[]> {
    const record = await this.#recordOf(dirName);
    if (record === undefined) return [`${join(this.#layout.bundles, dirName)} is missing`];
    if ('problem' in record) return record.problem;
    return await this.#problems(dirName, record, { scrubAfterMs: -Infinity, signal }, Infinity);
  }

  /** What the record in this directory says, no file looked at; `undefined` when it is not a bundle. */
  async read(dirName: string): Promise<Bundle | undefined> {
    const record = await this.#recordOf(dirName);
    if (record === undefined || 'problem' in record) return undefined;
    return toBundle(join(this.#layout.bundles, dirName), record, await this.#lastUse(dirName, record));
  }

  /** The same of every bundle, the last used first. */
  async list(): Promise<readonly Bundle[]> {
    const entries = (await unlessMissing(() => readdir(this.#layout.bundles, { withFileTypes: true }))) ?? [];
    const bundles = await inSlices(entries, (entry) => (entry.isDirectory() ? this.#readNow(entry.name) : undefined));
    return sortByWorth(
      bundles.filter((bundle) => bundle !== undefined),
      () => false,
    );
  }

  #readNow(dirName: string): Bundle | undefined {
    const bundleDir = this.#layout.bundles + sep + dirName;
    const record = readRecordNow(bundleDir, dirName);
    if (record === undefined || record === 'damaged') return undefined;
    const mark = lstatSync(this.#layout.used + sep + dirName, { throwIfNoEntry: false });
    return toBundle(bundleDir, record, mark === undefined ? record.createdAt : atMs(mark.mtimeMs));
  }

  async #recordOf(dirName: string): Promise<BundleRecord | { readonly problem: readonly string[] } | undefined> {
    const bundleDir = join(this.#layout.bundles, dirName);
    const stats = await statOf(bundleDir);
    if (stats === undefined) return undefined;
    if (!stats.isDirectory()) return { problem: [`${bundleDir} is not a directory`] };
    const record = await readRecord(bundleDir);
    if (record === undefined) return { problem: [`${bundleDir} has no ${RECORD_NAME}`] };
    return record === 'damaged' ? { problem: [`${join(bundleDir, RECORD_NAME)} is damaged`] } : record;
  }

  async #problems(dirName: string, record: BundleRecord, check: CheckOptions, limit: number): Promise<string[]> {
    const problems: string[] = [];
    for (const [, file] of filesOf(record)) {
      if (problems.length >= limit) break;
      const problem = await this.#blobs.problemWith(join(this.#layout.bundles, dirName, file.fileName), file, check);
      if (problem !== undefined) problems.push(problem);
    }
    return problems;
  }

  async #markUse(dirName: string, record: BundleRecord): Promise<string> {
    const now = new Date();
    const mark = join(this.#layout.used, dirName);
    const marked = await bestEffort(async () => {
      if ((await unlessMissing(() => utimes(mark, now, now).then(() => true))) === true) return;
      await writeFile(mark, '', { mode: 0o600 });
      await utimes(mark, now, now);
    });
    return marked ? now.toISOString() : await this.#lastUse(dirName, record);
  }

  async #lastUse(dirName: string, record: BundleRecord): Promise<string> {
    const mark = await statOf(join(this.#layout.used, dirName));
    if (mark === undefined) return record.createdAt;
    return atMs(Number(mark.mtimeNs) / 1e6);
  }
}

/** Node hands times over to the kernel as seconds with a fraction, which cuts some milliseconds short. */
function atMs(timeMs: number): string {
  return new Date(Math.round(timeMs)).toISOString();
}
