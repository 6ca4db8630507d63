import { link, rename, rm, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { systemCode } from '../errors.ts';
import { bestEffort, openForReading, randomSuffix, statOf, unlessMissing } from './files.ts';
import { hashFile } from './hash.ts';
import type { Layout } from './layout.ts';
import { holds, readStamp, stampOf, writeStamp } from './stamp.ts';

/** What a file of a bundle must be. */
export interface Content {
  readonly sha256: string;
  readonly bytes: number;
}

export interface CheckOptions {
  readonly scrubAfterMs: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Contents by their digest, each stored once and shared by hard links. A link that is added or dropped moves the ctime of
 * the file, so whoever does it renews the stamp, provided that it held until then.
 */
export class Blobs {
  readonly #layout: Layout;

  constructor(layout: Layout) {
    this.#layout = layout;
  }

  /**
   * `undefined` when the file is what it should be, else what is wrong with it, in words. Costs a `stat` while the stamp
   * holds, a full hash when it does not, or when `scrubAfterMs` have passed since the last one.
   */
  async problemWith(
    path: string,
    content: Content,
    { scrubAfterMs, signal }: CheckOptions,
  ): Promise<string | undefined> {
    const stats = await statOf(path);
    if (stats === undefined) return `${path} is missing`;
    if (!stats.isFile()) return `${path} is not a regular file`;
    if (Number(stats.size) !== content.bytes) return `${path} has ${stats.size} bytes instead of ${content.bytes}`;
    const stamp = await readStamp(this.#layout.stamps, content.sha256);
    if (holds(stamp, stats, scrubAfterMs)) return undefined;

    const handle = await openForReading(path);
    try {
      const before = await handle.stat({ bigint: true });
      const verifiedAt = new Date();
      const sha256 = await hashFile(handle, signal);
      if (sha256 !== content.sha256) return `${path} has SHA-256 ${sha256} instead of ${content.sha256}`;
      await writeStamp(this.#layout.stamps, content.sha256, stampOf(before, verifiedAt));
      return undefined;
    } finally {
      await handle.close();
    }
  }

  /** True when there is a file for this content, whatever is in it. */
  async has(sha256: string): Promise<boolean> {
    return (await statOf(this.#path(sha256))) !== undefined;
  }

  /** Links a content that is here and good to `path`, and gives it; `undefined` when it is not, and a bad one is dropped. */
  async linkTo(path: string, sha256: string, check: CheckOptions): Promise<Content | undefined> {
    const blob = this.#path(sha256);
    const stats = await statOf(blob);
    if (stats === undefined) return undefined;
    const content = { sha256, bytes: Number(stats.size) };
    if ((await this.problemWith(blob, content, check)) !== undefined) {
      await unlessMissing(() => unlink(blob));
      return undefined;
    }
    const linked = await unlessMissing(async () => {
      await this.#keepingStamp(sha256, blob, () => link(blob, path));
      return true;
    });
    return linked === undefined ? undefined : content;
  }

  /**
   * Takes a file that was just hashed into the store: afterwards `path` is a link to the blob of that digest. When there is
   * a good one already the two become one, so that all bundles with this content share one file and one stamp.
   */
  async adopt(path: string, { sha256 }: Content, check: CheckOptions): Promise<void> {
    const blob = this.#path(sha256);
    const verifiedAt = new Date();
    const taken = await link(path, blob).then(
      () => true,
      (error: unknown) => {
        if (systemCode(error) === 'EEXIST') return false;
        throw error;
      },
    );
    if (!taken) {
      const ours = `${path}.${randomSuffix()}`;
      await rename(path, ours);
      if ((await this.linkTo(path, sha256, check)) !== undefined) {
        await rm(ours);
        return;
      }
      await link(ours, path);
      await rename(ours, blob);
    }
    const stats = await statOf(path);
    if (stats !== undefined) await writeStamp(this.#layout.stamps, sha256, stampOf(stats, verifiedAt));
  }

  /** Drops one link to a content, and with the last one the content. */
  async drop(path: string, sha256: string): Promise<void> {
    const blob = this.#path(sha256);
    await this.#keepingStamp(sha256, blob, () => unlessMissing(() => unlink(path)));
    await this.dropIfUnused(sha256);
  }

  /** Contents that no bundle links to are left by processes that died; their last link is the blob itself. */
  async dropIfUnused(sha256: string): Promise<void> {
    const blob = this.#path(sha256);
    const stats = await statOf(blob);
    if (stats === undefined || stats.nlink > 1n) return;
    // Out of reach first: somebody may link to it just now.
    const aside = join(this.#layout.staging, `${sha256}.${randomSuffix()}.trash`);
    if ((await unlessMissing(() => rename(blob, aside).then(() => true))) === undefined) return;
    const linkedMeanwhile = ((await statOf(aside))?.nlink ?? 0n) > 1n;
    if (linkedMeanwhile) await bestEffort(() => link(aside, blob));
    else await rm(join(this.#layout.stamps, `${sha256}.json`), { force: true });
    await rm(aside, { force: true });
  }

  async #keepingStamp(sha256: string, blob: string, change: () => Promise<unknown>): Promise<void> {
    const before = await statOf(blob);
    const stamp = await readStamp(this.#layout.stamps, sha256);
    const held = before !== undefined && holds(stamp, before, Infinity);
    await change();
    const after = await statOf(blob);
    if (held && stamp !== undefined && after?.mtimeNs === before.mtimeNs && after.ino === before.ino) {
      await writeStamp(this.#layout.stamps, sha256, stampOf(after, stamp.verifiedAt));
    }
  }

  #path(sha256: string): string {
    return join(this.#layout.blobs, sha256);
  }
}
