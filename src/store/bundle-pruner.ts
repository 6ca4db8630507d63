import { basename } from 'node:path';
import { messageOf } from '../errors.ts';
import type { Bundle, Context } from '../image.ts';
import type { Blobs } from './blobs.ts';
import type { BundleReader } from './bundle-reader.ts';
import type { BundleRemover } from './bundle-remover.ts';
import type { Evictions } from './evictions.ts';
import { namesNow } from './files.ts';
import type { Layout } from './layout.ts';
import type { PruneEntry, PruneOptions, PruneReport } from './prune-report.ts';
import { sortByWorth, toEvict, type Allowance, type Eviction } from './retention.ts';
import { reading, writing } from './store-error.ts';
import { sweepAll } from './sweep.ts';
import { checkRoot, prepareRoot } from './trusted-dir.ts';

const NOTHING: PruneReport = { removed: [], kept: [], skipped: [] };

export interface PrunerParts {
  readonly layout: Layout;
  readonly blobs: Blobs;
  readonly reader: BundleReader;
  readonly remover: BundleRemover;
  readonly evictions: Evictions;
}

/** Makes the cache as small as it may be. */
export class BundlePruner {
  readonly #parts: PrunerParts;

  constructor(parts: PrunerParts) {
    this.#parts = parts;
  }

  async prune(options: PruneOptions, context: Context): Promise<PruneReport> {
    const { limit, maxBytes, dryRun = false, reportKept = true, keepBundleDir, keepBundleId, exempt } = options;
    const { layout, reader, remover } = this.#parts;
    const isThere = await reading('look at the cache', () => checkRoot(layout));
    if (!dryRun) await this.#sweep(isThere, context);
    if (!isThere) return NOTHING;
    // No more directories than bundles may stay: there is nothing to choose from, and no record need be read.
    if (!reportKept && maxBytes === undefined) {
      const count = await reading('list the cache', () => namesNow(layout.bundles).length);
      if (count <= limit) return NOTHING;
    }

    const allowed: Allowance = { bundles: limit, ...(maxBytes === undefined ? {} : { bytes: maxBytes }) };
    const isProtected = ({ bundleDir, bundleId }: Bundle): boolean =>
      bundleDir === keepBundleDir || bundleId === keepBundleId;
    const bundles = sortByWorth(await reading('list the cache', () => reader.list()), isProtected);
    if (toEvict(bundles, allowed, isProtected, () => false).length === 0) {
      return { ...NOTHING, kept: bundles.map((bundle) => entry(bundle, 'within the limit')) };
    }
    const inUse = await remover.inUse(bundles.map(({ bundleDir }) => bundleDir));
    const stays = (bundle: Bundle): boolean => inUse.has(bundle.bundleDir) || exempt?.isExempt(bundle) === true;
    const leaving = toEvict(bundles, allowed, isProtected, stays);
    const removed: PruneEntry[] = [];
    const skipped: PruneEntry[] = [];
    for (const eviction of leaving) {
      const problem = dryRun ? undefined : await this.#evict(eviction, allowed, context);
      if (problem === undefined) removed.push(entry(eviction.bundle, reasonFor(eviction, allowed)));
      else skipped.push(entry(eviction.bundle, problem));
    }
    const left = new Set(leaving.map(({ bundle }) => bundle));
    const kept = bundles
      .filter((bundle) => !left.has(bundle))
      .map((bundle) => entry(bundle, whyKept(bundle, inUse, exempt)));
    return { removed, kept, skipped };
  }

  /** Makes the cache, or clears what earlier attempts left in it as far as that goes: that is not worth failing for. */
  async #sweep(isThere: boolean, context: Context): Promise<void> {
    const { layout, blobs } = this.#parts;
    if (!isThere) {
      await writing(`prepare the cache ${layout.root}`, () => prepareRoot(layout));
      return;
    }
    try {
      await writing('clear what earlier attempts left', () => sweepAll(layout, blobs));
    } catch (error) {
      context.logger.warn(messageOf(error));
    }
  }

  async #evict(eviction: Eviction, allowed: Allowance, context: Context): Promise<string | undefined> {
    context.signal?.throwIfAborted();
    const { remover, evictions } = this.#parts;
    const { bundle, beyond } = eviction;
    const { bundleId, bundleDir } = bundle;
    const [what, option] =
      beyond === 'bundles'
        ? [`${allowed.bundles} base images`, 'maxStoredBaseImages']
        : [`${allowed.bytes ?? 0} bytes of base images`, 'maxStoredBytes'];
    context.logger.warn(
      `[smartvm] Keeping ${what}: removing ${bundleId} (${bundleDir}). Raise ${option} to keep more.`,
    );
    const problem = await remover.evict(basename(bundleDir));
    if (problem === undefined) await evictions.note(basename(bundleDir));
    else context.logger.warn(`[smartvm] ${bundleDir} was not removed: ${problem}`);
    return problem;
  }
}

function entry({ bundleId, bundleDir, sizes }: Bundle, reason: string): PruneEntry {
  const { kernelBytes, rootfsBytes, initrdBytes = 0 } = sizes;
  return { bundleId, bundleDir, bytes: kernelBytes + rootfsBytes + initrdBytes, reason };
}

function whyKept(bundle: Bundle, inUse: ReadonlySet<string>, exempt: PruneOptions['exempt']): string {
  if (inUse.has(bundle.bundleDir)) return 'in use';
  return exempt?.isExempt(bundle) === true ? exempt.reason : 'within the limit';
}

function reasonFor({ beyond }: Eviction, { bundles, bytes = 0 }: Allowance): string {
  return beyond === 'bundles' ? `beyond the limit of ${bundles}` : `beyond the limit of ${bytes} bytes`;
}
