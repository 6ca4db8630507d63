import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../errors.ts';
import type { Blobs } from './blobs.ts';
import { moveDirectory, randomSuffix, syncDirectory } from './files.ts';
import type { Layout } from './layout.ts';
import { unlessLeased } from './lease.ts';
import { tryLock } from './lock.ts';
import { writing } from './store-error.ts';
import { discard } from './sweep.ts';

/** Takes bundles out of the cache, with all they had, unless a machine uses them. */
export class BundleRemover {
  readonly #layout: Layout;
  readonly #blobs: Blobs;

  constructor(layout: Layout, blobs: Blobs) {
    this.#layout = layout;
    this.#blobs = blobs;
  }

  /** Out of sight in one step, then gone. False, and nothing was done, when a machine uses it. Under the lock of its key. */
  async remove(dirName: string): Promise<boolean> {
    const { bundles, staging, used, receipts } = this.#layout;
    const bundleDir = join(bundles, dirName);
    const done = await unlessLeased(bundleDir, () =>
      writing(`remove ${bundleDir}`, async () => {
        const trash = join(staging, `${dirName}.${randomSuffix()}.trash`);
        await moveDirectory(bundleDir, trash);
        await syncDirectory(bundles);
        await discard(this.#layout, this.#blobs, trash);
        await rm(join(used, dirName), { force: true });
        await rm(join(receipts, dirName), { recursive: true, force: true });
      }),
    );
    return done !== undefined;
  }

  /** Removes it without waiting for anybody; what stands against it is told in words. */
  async evict(dirName: string): Promise<string | undefined> {
    try {
      const done = await tryLock(join(this.#layout.locks, `${dirName}.lock`), () => this.remove(dirName));
      if (done === undefined) return 'another process works on it';
      return done.result ? undefined : 'in use';
    } catch (error) {
      return messageOf(error);
    }
  }

  /** Moves a damaged bundle out of the way and says where to. */
  async quarantine(dirName: string): Promise<string> {
    const place = join(this.#layout.quarantine, `${dirName}.${randomSuffix()}`);
    await writing(`move the damaged ${dirName} aside`, () => moveDirectory(join(this.#layout.bundles, dirName), place));
    return place;
  }

  /** Those of these directories that a machine uses. */
  async inUse(bundleDirs: readonly string[]): Promise<ReadonlySet<string>> {
    const used = new Set<string>();
    for (const bundleDir of bundleDirs) {
      if ((await unlessLeased(bundleDir, () => Promise.resolve())) === undefined) used.add(bundleDir);
    }
    return used;
  }
}
