import type { ImageDifference } from './compare.ts';
import { SmartVMError } from './errors.ts';
import { hostArch, type Arch, type Bundle, type Context, type Logger, type ResolvedImage } from './image.ts';
import { askedFrom, freshnessFrom, requireTrust } from './manager/asked.ts';
import { Ensurer } from './manager/ensurer.ts';
import { Finder } from './manager/finder.ts';
import { Keeper, notCached } from './manager/keeper.ts';
import { lockImages, type LockBaseImagesOptions, type LockReport } from './manager/lock-images.ts';
import { LockKeeper } from './manager/lock-keeper.ts';
import { hostsOf, resolutionOf, type EnsurePlan, type Resolution } from './manager/resolution.ts';
import {
  archFrom,
  cacheBytesFrom,
  cacheDirFrom,
  cacheLimitFrom,
  readReference,
  type BaseImageManagerOptions,
  type EnsureBaseImageOptions,
} from './options.ts';
import { formatReference } from './reference.ts';
import { BundleStore, type PruneReport } from './store/bundle-store.ts';

/** What `verifyBaseImages` found, bundle by bundle. */
export interface VerifyReport {
  readonly ok: boolean;
  readonly bundles: readonly {
    readonly bundleId: string;
    readonly bundleDir: string;
    readonly ok: boolean;
    readonly problems: readonly string[];
  }[];
}

export interface PruneBaseImagesOptions {
  /** How many to keep. Default: the manager's limit. */
  readonly keep?: number | undefined;
  /** How many bytes they may have. Default: the manager's limit. */
  readonly maxBytes?: number | undefined;
  /** Kept before all others. */
  readonly keepBundleId?: string | undefined;
  /** Say what would go, and touch nothing. */
  readonly dryRun?: boolean | undefined;
}

const SILENT: Logger = { warn: () => undefined, info: () => undefined };

/**
 * Makes sure that images are on this disk, verified, and says where. Any number of managers and processes may share one
 * cache. Making one touches neither disk nor network.
 */
export class BaseImageManager {
  readonly #options: BaseImageManagerOptions;
  readonly #cacheDir: string;
  readonly #limit: number;
  readonly #maxBytes: number | undefined;
  readonly #store: BundleStore;
  readonly #lock: LockKeeper | undefined;
  readonly #keeper: Keeper;
  readonly #finder: Finder;

  /** @throws SmartVMError `INVALID_BASE_IMAGE_CACHE_LIMIT` when `maxStoredBaseImages` or `maxStoredBytes` is not a positive integer. */
  constructor(options: BaseImageManagerOptions = {}) {
    this.#options = options;
    this.#limit = cacheLimitFrom(options);
    this.#maxBytes = cacheBytesFrom(options);
    this.#cacheDir = cacheDirFrom(options, process.env);
    this.#store = new BundleStore({ cacheDir: this.#cacheDir, verify: options.verify });
    this.#lock = options.lockFile ? new LockKeeper(options.lockFile) : undefined;
    this.#keeper = new Keeper(this.#store, { bundles: this.#limit, bytes: this.#maxBytes }, this.#lock);
    this.#finder = new Finder(options);
  }

  /** The root of the cache, absolute. */
  getCacheDir(): string {
    return this.#cacheDir;
  }

  /** How many bundles are kept. */
  getMaxStoredBaseImages(): number {
    return this.#limit;
  }

  /**
   * Makes sure that the image is on this disk, verified, and returns where. A hit reads a few file stamps and nothing
   * else. When it fails the cache is as good as before.
   *
   * Rejects with a `SmartVMError`: `INVALID_BASE_IMAGE_OPTIONS`, `INVALID_BASE_IMAGE_REFERENCE` (what was asked for),
   * `VERSION_FETCH_FAILED`, `BASE_IMAGE_RESOLVE_FAILED`, `BASE_IMAGE_MANIFEST_FAILED`, `INVALID_BASE_IMAGE_MANIFEST`
   * (finding it), `BASE_IMAGE_NOT_CACHED` (offline), `BASE_IMAGE_BELOW_TRUST`, `BASE_IMAGE_BUILD_FAILED`, `BASE_IMAGE_CACHE_UNSAFE`,
   * `BASE_IMAGE_PREPARE_FAILED` (everything from the first byte on); with the signal's reason when aborted.
   */
  async ensureBaseImage(options: EnsureBaseImageOptions = {}): Promise<Bundle> {
    const context = this.#context(options.signal);
    const asked = askedFrom(options, this.#options);
    const freshness = freshnessFrom(options, this.#options);
    const minimumTrust = options.minimumTrust ?? this.#options.minimumTrust;
    this.#warnOfArch(options, asked.arch, context);
    context.signal?.throwIfAborted();

    const frozen = options.frozen ?? this.#options.frozen ?? false;
    const source = await this.#finder.sourceOf(asked, options);
    return await this.#ensurer(options).ensure(source, asked, freshness, { frozen, minimumTrust }, context);
  }

  /**
   * Says what `ensureBaseImage` would choose and why; what the lock file names is not asked for. Asks the source, downloads no image and writes nothing. Rejects as
   * `ensureBaseImage` does while it finds an image.
   */
  async resolveBaseImage(options: EnsureBaseImageOptions = {}): Promise<Resolution> {
    return resolutionOf(await this.#resolveOnly(options, true));
  }

  /** Says what `ensureBaseImage` would do: what it would fetch, from where, and what would be removed for it. Does nothing. */
  async planBaseImage(options: EnsureBaseImageOptions = {}): Promise<EnsurePlan> {
    const context = this.#context(options.signal);
    const image = await this.#resolveOnly(options, true);
    const resolution = resolutionOf(image);
    const isCached = await this.#store.holds(image);
    const { bytesToFetch, freeBytes } = await this.#store.need(image);
    const keep = Math.max(0, this.#limit - (isCached ? 0 : 1));
    const { removed } = isCached
      ? { removed: [] }
      : await this.#store.prune(
          { limit: keep, dryRun: true, ...(await this.#keeper.exemptions()) },
          { ...context, logger: SILENT },
        );
    return {
      resolution,
      isCached,
      ...(isCached ? { bytesToFetch: 0 } : bytesToFetch === undefined ? {} : { bytesToFetch }),
      freeBytes,
      hosts: isCached ? [] : hostsOf(resolution),
      wouldRemove: removed.map(({ bundleDir }) => bundleDir),
    };
  }

  /**
   * Removes the least recently used bundles beyond the limit and returns their ids, most recently used first.
   * `keepBundleId` is kept before all others and counts towards the limit. Makes the cache when there is none.
   */
  async pruneBaseImageCache(keepBundleId?: string): Promise<string[]> {
    const { removed } = await this.#prune({ keepBundleId }, false);
    return removed.map(({ bundleId }) => bundleId);
  }

  /** Removes the least recently used bundles beyond `keep`, except those in use, and says what went, what stayed and why. */
  async pruneBaseImages(options: PruneBaseImagesOptions = {}): Promise<PruneReport> {
    return await this.#prune(options, true);
  }

  async #prune(options: PruneBaseImagesOptions, reportKept: boolean): Promise<PruneReport> {
    const limit = options.keep === undefined ? this.#limit : countFrom('keep', options.keep);
    const maxBytes = options.maxBytes === undefined ? this.#maxBytes : countFrom('maxBytes', options.maxBytes);
    const { keepBundleId, dryRun = false } = options;
    const optional = {
      ...(maxBytes === undefined ? {} : { maxBytes }),
      ...(keepBundleId === undefined ? {} : { keepBundleId }),
    };
    return await this.#store.prune(
      { limit, dryRun, reportKept, ...optional, ...(await this.#keeper.exemptions()) },
      this.#context(),
    );
  }

  /** How much room there is where the cache lies, or would. */
  async cacheSpace(): Promise<{ readonly freeBytes: number }> {
    return { freeBytes: await this.#store.freeBytes() };
  }

  /** Every bundle in the cache, the last used first. Reads records, never image bytes. */
  async listBaseImages(): Promise<readonly Bundle[]> {
    return await this.#store.list();
  }

  /**
   * Bundles in the cache by their id, by an unique beginning of it, by the name of their directory, or by what a reference
   * last resolved to. Never asks the network.
   *
   * Rejects with `BASE_IMAGE_NOT_CACHED` when there is none, `INVALID_BASE_IMAGE_OPTIONS` when the beginning fits several ids.
   */
  async findBaseImages(
    idOrReference: string,
    options: { readonly arch?: Arch | undefined } = {},
  ): Promise<readonly Bundle[]> {
    const bundles = await this.#store.list();
    const names = (bundle: Bundle): string[] => [
      bundle.bundleId,
      bundle.bundleDir.slice(bundle.bundleDir.lastIndexOf('/') + 1),
    ];
    const exact = bundles.filter((bundle) => names(bundle).includes(idOrReference));
    if (exact.length > 0) return exact;
    const remembered = await this.#recallText(idOrReference, archFrom(options, this.#options));
    if (remembered !== undefined) return [remembered];
    const begun =
      idOrReference === ''
        ? []
        : bundles.filter((bundle) => names(bundle).some((name) => name.startsWith(idOrReference)));
    const ids = [...new Set(begun.map(({ bundleId }) => bundleId))];
    if (ids.length > 1) {
      throw new SmartVMError(
        `Failed to choose a bundle: ${JSON.stringify(idOrReference)} begins ${ids.length} ids: ${ids.join(', ')}`,
        'INVALID_BASE_IMAGE_OPTIONS',
        { hint: 'Give more of the id.' },
      );
    }
    if (begun.length === 0) throw notCached(idOrReference, this.#cacheDir);
    return begun;
  }

  /** Hashes the files of these bundles (default: of all) and compares them with what was recorded. */
  async verifyBaseImages(
    bundles?: readonly Bundle[],
    options: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<VerifyReport> {
    const context = this.#context(options.signal);
    const checked = [];
    for (const bundle of bundles ?? (await this.#store.list())) {
      const problems = await this.#store.verify(bundle, context);
      checked.push({ bundleId: bundle.bundleId, bundleDir: bundle.bundleDir, ok: problems.length === 0, problems });
    }
    return { ok: checked.every(({ ok }) => ok), bundles: checked };
  }

  /** Removes a bundle from the cache. Rejects with `STORE_LOCKED`, and removes nothing, while a machine uses it. */
  async removeBaseImage(bundle: Bundle): Promise<void> {
    await this.#store.remove(bundle, this.#context());
  }

  /**
   * Writes into the lock file what these references are now, and returns what changed; without `references`, all that the
   * file has. What it has already is left as it is, unless `update` says otherwise. Images are fetched for their digests.
   *
   * Rejects as `ensureBaseImage` does; with `BASE_IMAGE_LOCK_MISMATCH` when the file cannot be read or written. The file is
   * written in the end, or not at all.
   */
  async lockBaseImages(
    asking: readonly EnsureBaseImageOptions[],
    options: LockBaseImagesOptions = {},
  ): Promise<LockReport> {
    const lock = this.#lock;
    if (lock === undefined)
      throw new SmartVMError('Failed to lock: no lockFile was named', 'INVALID_BASE_IMAGE_OPTIONS');
    const context = this.#context(options.signal);
    const { keeper } = this.#cacheFor({ verify: asking.find(({ verify }) => verify !== undefined)?.verify });
    const parts = { finder: this.#finder, keeper, lock, managerOptions: this.#options };
    return await lockImages(parts, asking, options, context);
  }

  /**
   * What differs between two images: their files, the options of their kernels, the packages of their root file systems, as
   * far as their sources publish them, now and whatever a lock file says. Downloads neither image. Rejects as `resolveBaseImage` does.
   */
  async compareBaseImages(one: EnsureBaseImageOptions, other: EnsureBaseImageOptions): Promise<ImageDifference> {
    const context = this.#context(one.signal);
    const { describeImage, differenceBetween } = await import('./compare.ts');
    const [from, to] = [await this.#resolveOnly(one, false), await this.#resolveOnly(other, false)];
    return differenceBetween(await describeImage(from, context), await describeImage(to, context));
  }

  #ensurer(call: EnsureBaseImageOptions): Ensurer {
    const [finder, lock, cacheDir] = [this.#finder, this.#lock, this.#cacheDir];
    return new Ensurer({ ...this.#cacheFor(call), finder, lock, cacheDir });
  }

  /** The cache as a call wants it: one that believes no stamp is a store of its own, on the same folder. */
  #cacheFor({ verify }: EnsureBaseImageOptions): { readonly store: BundleStore; readonly keeper: Keeper } {
    if (verify === undefined) return { store: this.#store, keeper: this.#keeper };
    const store = new BundleStore({ cacheDir: this.#cacheDir, verify });
    return { store, keeper: new Keeper(store, { bundles: this.#limit, bytes: this.#maxBytes }, this.#lock) };
  }

  async #resolveOnly(options: EnsureBaseImageOptions, heedLock: boolean): Promise<ResolvedImage> {
    const context = this.#context(options.signal);
    const asked = askedFrom(options, this.#options);
    const source = await this.#finder.sourceOf(asked, options);
    if (!heedLock) return await this.#finder.resolve(source, asked, context);
    const frozen = options.frozen ?? this.#options.frozen ?? false;
    const image = await this.#ensurer(options).resolve(source, asked, frozen, context);
    requireTrust(image.facts.bundleId, image.facts.trust, options.minimumTrust ?? this.#options.minimumTrust);
    return image;
  }

  async #recallText(text: string, arch: Arch): Promise<Bundle | undefined> {
    try {
      return (await this.#store.recall(formatReference(readReference(text)), arch, this.#context()))?.bundle;
    } catch (error) {
      if (error instanceof SmartVMError && error.code === 'INVALID_BASE_IMAGE_REFERENCE') return undefined;
      throw error;
    }
  }

  #warnOfArch(call: EnsureBaseImageOptions, arch: Arch, context: Context): void {
    const host = hostArch();
    if (!call.arch && !this.#options.arch && host !== undefined && host !== arch) {
      context.logger.warn(`No arch was given: using ${arch}, but this machine is ${host} and cannot boot it.`);
    }
  }

  #context(signal?: AbortSignal): Context {
    const both = [signal, this.#options.signal].filter((one) => one !== undefined);
    return {
      signal: both.length > 1 ? AbortSignal.any(both) : both[0],
      logger: this.#options.logger ?? SILENT,
      onProgress: this.#options.onProgress ?? (() => undefined),
    };
  }
}

function countFrom(option: string, count: number): number {
  if (Number.isSafeInteger(count) && count >= 0) return count;
  throw new SmartVMError(
    `${option} must be an integer of at least 0, got ${String(count)}`,
    'INVALID_BASE_IMAGE_OPTIONS',
  );
}
