import { readdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Bundle } from '../image.ts';
import type { Blobs, CheckOptions } from './blobs.ts';
import { bestEffort, statOf, unlessMissing } from './files.ts';
import type { Layout } from './layout.ts';
import { RECORD_NAME, filesOf, readRecord, toBundle, type BundleRecord } from './record.ts';
import { byWorth } from './retention.ts';

/** A bundle, or in words what is wrong with it. */
export type Found = { readonly bundle: Bundle } | { readonly problem: readonly string[] };

const PARALLEL_READS = 32;

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
    const names = (await unlessMissing(() => readdir(this.#layout.bundles))) ?? [];
    const bundles: Bundle[] = [];
    for (let start = 0; start < names.length; start += PARALLEL_READS) {
      const some = names.slice(start, start + PARALLEL_READS).map((name) => this.read(name));
      bundles.push(...(await Promise.all(some)).filter((bundle) => bundle !== undefined));
    }
    return bundles.sort(byWorth(() => false));
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
    // Node hands times over as seconds with a fraction, which cuts some milliseconds short.
    return new Date(Number((mark.mtimeNs + 500_000n) / 1_000_000n)).toISOString();
  }
}
