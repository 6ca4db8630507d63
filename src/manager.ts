import { SmartVMError, isAbortError, messageOf, withIntent, type SmartVMErrorCode } from './errors.ts';
import type { Arch, Bundle, Context, ImageSource, ResolvedImage } from './image.ts';
import { hostArch } from './image.ts';
import {
  archFrom,
  cacheBytesFrom,
  cacheDirFrom,
  cacheLimitFrom,
  readReference,
  referenceFrom,
  sourceSettingsFrom,
  type BaseImageManagerOptions,
  type EnsureBaseImageOptions,
} from './options.ts';
import { formatReference } from './reference.ts';
import { sourceFor } from './source-registry.ts';
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

/** Codes that already say what a user wants to know; everything else is told as a failed preparation. */
const SPEAKS_FOR_ITSELF: readonly SmartVMErrorCode[] = [
  'BASE_IMAGE_CACHE_UNSAFE',
  'BASE_IMAGE_BUILD_FAILED',
  'BASE_IMAGE_BELOW_TRUST',
];

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

  /** @throws SmartVMError `INVALID_BASE_IMAGE_CACHE_LIMIT` when `maxStoredBaseImages` or `maxStoredBytes` is not a positive integer. */
  constructor(options: BaseImageManagerOptions = {}) {
    this.#options = options;
    this.#limit = cacheLimitFrom(options);
    this.#maxBytes = cacheBytesFrom(options);
    this.#cacheDir = cacheDirFrom(options, process.env);
    this.#store = new BundleStore({ cacheDir: this.#cacheDir });
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
   * (finding it), `BASE_IMAGE_NOT_CACHED` (offline), `BASE_IMAGE_BUILD_FAILED`, `BASE_IMAGE_CACHE_UNSAFE`,
   * `BASE_IMAGE_PREPARE_FAILED` (everything from the first byte on); with the signal's reason when aborted.
   */
  async ensureBaseImage(options: EnsureBaseImageOptions = {}): Promise<Bundle> {
    const context = this.#context(options.signal);
    const reference = referenceFrom(options, this.#options);
    const arch = this.#archOf(options, context);
    const text = formatReference(reference);
    context.signal?.throwIfAborted();

    const settings = sourceSettingsFrom(this.#options, process.env);
    const source = await sourceFor(reference.scheme, settings, this.#options.sources ?? []);
    const force = options.forceDownload ?? false;
    const offline = options.offline ?? this.#options.offline ?? false;
    if (offline) return await this.#ensureOffline(source, reference.locator, text, arch, context);
    if (!source.asksEveryTime && !force) {
      const built = await this.#prepare(text, () => this.#store.recall(text, arch, context));
      if (built !== undefined) return built;
    }
    context.onProgress({ phase: 'resolve', reference: text });
    const image = await source.resolve(reference.locator, { ...context, arch });
    return await this.#prepare(`base image bundle ${image.facts.bundleId}`, async () => {
      const cached = force ? undefined : await this.#store.find(image, context);
      const bundle = cached ?? (await this.#add(image, context, force));
      await this.#store.remember(text, arch, bundle);
      return bundle;
    });
  }

  /**
   * Removes the least recently used bundles beyond the limit and returns their ids, most recently used first.
   * `keepBundleId` is kept before all others and counts towards the limit. Makes the cache when there is none.
   */
  async pruneBaseImageCache(keepBundleId?: string): Promise<string[]> {
    const { removed } = await this.pruneBaseImages({ keepBundleId });
    return removed.map(({ bundleId }) => bundleId);
  }

  /** Removes the least recently used bundles beyond `keep`, except those in use, and says what went, what stayed and why. */
  async pruneBaseImages(options: PruneBaseImagesOptions = {}): Promise<PruneReport> {
    const limit = options.keep === undefined ? this.#limit : countFrom('keep', options.keep);
    const maxBytes = options.maxBytes === undefined ? this.#maxBytes : countFrom('maxBytes', options.maxBytes);
    const { keepBundleId, dryRun = false } = options;
    const optional = {
      ...(maxBytes === undefined ? {} : { maxBytes }),
      ...(keepBundleId === undefined ? {} : { keepBundleId }),
    };
    return await this.#store.prune({ limit, dryRun, ...optional }, this.#context());
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

  async #add(image: ResolvedImage, context: Context, replace: boolean): Promise<Bundle> {
    const bundle = await this.#store.add(image, context, { replace });
    try {
      const maxBytes = this.#maxBytes === undefined ? {} : { maxBytes: this.#maxBytes };
      await this.#store.prune({ limit: this.#limit, ...maxBytes, keepBundleDir: bundle.bundleDir }, context);
    } catch (error) {
      if (isAbortError(error)) throw error;
      context.logger.warn(`The bundle is ready, but old ones could not be pruned: ${messageOf(error)}`);
    }
    return bundle;
  }

  async #ensureOffline(
    source: ImageSource,
    locator: string,
    text: string,
    arch: Arch,
    context: Context,
  ): Promise<Bundle> {
    const bundle = await this.#prepare(text, async () => {
      if (source.resolvesOffline?.(locator) !== true) return await this.#store.recall(text, arch, context);
      return await this.#store.find(await source.resolve(locator, { ...context, arch }), context);
    });
    if (bundle === undefined) throw notCached(text, this.#cacheDir);
    return bundle;
  }

  async #recallText(text: string, arch: Arch): Promise<Bundle | undefined> {
    try {
      return await this.#store.recall(formatReference(readReference(text)), arch, this.#context());
    } catch (error) {
      if (error instanceof SmartVMError && error.code === 'INVALID_BASE_IMAGE_REFERENCE') return undefined;
      throw error;
    }
  }

  #prepare<T>(what: string, work: () => Promise<T>): Promise<T> {
    return withIntent(`prepare ${what}`, 'BASE_IMAGE_PREPARE_FAILED', work, { passing: SPEAKS_FOR_ITSELF });
  }

  #archOf(options: EnsureBaseImageOptions, context: Context): Arch {
    const arch = archFrom(options, this.#options);
    const host = hostArch();
    if (!options.arch && !this.#options.arch && host !== undefined && host !== arch) {
      context.logger.warn(`No arch was given: using ${arch}, but this machine is ${host} and cannot boot it.`);
    }
    return arch;
  }

  #context(signal?: AbortSignal): Context {
    const both = [signal, this.#options.signal].filter((one) => one !== undefined);
    return {
      signal: both.length > 1 ? AbortSignal.any(both) : both[0],
      logger: this.#options.logger ?? { warn: () => undefined, info: () => undefined },
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

function notCached(what: string, cacheDir: string): SmartVMError {
  return new SmartVMError(
    `Failed to find ${JSON.stringify(what)} in the cache: nothing in ${cacheDir} goes by that name`,
    'BASE_IMAGE_NOT_CACHED',
    { hint: `See what is there with "smartvm list", or fetch it with "smartvm ensure ${what}".` },
  );
}
