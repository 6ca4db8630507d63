import { askedFrom, freshnessFrom, requireTrust, type Asked, type Freshness } from './asked.ts';
import { SmartVMError, isAbortError, messageOf, withIntent, type SmartVMErrorCode } from './errors.ts';
import type {
  Arch,
  Bundle,
  Context,
  ImageSource,
  Logger,
  ResolvedImage,
  Selection,
  TargetVmm,
  Trust,
} from './image.ts';
import { hostArch } from './image.ts';
import {
  archFrom,
  cacheBytesFrom,
  cacheDirFrom,
  cacheLimitFrom,
  readReference,
  sourceSettingsFrom,
  type BaseImageManagerOptions,
  type EnsureBaseImageOptions,
} from './options.ts';
import { formatReference } from './reference.ts';
import { hostsOf, resolutionOf, type EnsurePlan, type Resolution } from './resolution.ts';
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

const SILENT: Logger = { warn: () => undefined, info: () => undefined };

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

    const source = await this.#sourceOf(asked, options);
    const bundle =
      (await this.#fromMemory(source, asked, freshness, context)) ??
      (await this.#fromSource(source, asked, freshness, minimumTrust, context));
    requireTrust(bundle.bundleId, bundle.trust, minimumTrust);
    return bundle;
  }

  /**
   * Says what `ensureBaseImage` would choose and why. Asks the source, downloads no image and writes nothing. Rejects as
   * `ensureBaseImage` does while it finds an image.
   */
  async resolveBaseImage(options: EnsureBaseImageOptions = {}): Promise<Resolution> {
    return resolutionOf(await this.#resolveOnly(options));
  }

  /** Says what `ensureBaseImage` would do: what it would fetch, from where, and what would be removed for it. Does nothing. */
  async planBaseImage(options: EnsureBaseImageOptions = {}): Promise<EnsurePlan> {
    const context = this.#context(options.signal);
    const image = await this.#resolveOnly(options);
    const resolution = resolutionOf(image);
    const isCached = (await this.#store.list()).some(({ bundleDir }) => bundleDir === this.#store.placeOf(image));
    const { bytesToFetch, freeBytes } = await this.#store.need(image);
    const keep = Math.max(0, this.#limit - (isCached ? 0 : 1));
    const { removed } = isCached
      ? { removed: [] }
      : await this.#store.prune({ limit: keep, dryRun: true }, { ...context, logger: SILENT });
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

  /** The answer that needs no asking: offline any, else one that is fixed, built here, or young enough. */
  async #fromMemory(
    source: ImageSource,
    asked: Asked,
    { force, offline, maxAgeMs }: Freshness,
    context: Context,
  ): Promise<Bundle | undefined> {
    const { text, arch, reference } = asked;
    if (offline) {
      const bundle = await this.#prepare(text, async () => {
        if (source.resolvesOffline?.(reference.locator) !== true) return await this.#recall(text, arch, context);
        return await this.#store.find(await source.resolve(reference.locator, { ...context, arch }), context);
      });
      if (bundle === undefined) throw notCached(text, this.#cacheDir);
      return bundle;
    }
    if (force) return undefined;
    const isFixed = !source.asksEveryTime || source.isFixed?.(reference.locator) === true;
    const oldestMs = isFixed ? Infinity : maxAgeMs;
    if (oldestMs === undefined) return undefined;
    const recalled = await this.#prepare(text, () => this.#store.recall(text, arch, context));
    return recalled !== undefined && recalled.ageMs <= oldestMs ? recalled.bundle : undefined;
  }

  async #fromSource(
    source: ImageSource,
    asked: Asked,
    { force, staleIfError }: Freshness,
    minimumTrust: Trust | undefined,
    context: Context,
  ): Promise<Bundle> {
    const { text, arch } = asked;
    let image: ResolvedImage;
    try {
      image = await this.#resolve(source, asked, context);
    } catch (error) {
      const stale = staleIfError && isOutage(error) ? await this.#store.recall(text, arch, context) : undefined;
      if (stale === undefined) throw error;
      const hours = (stale.ageMs / 3_600_000).toFixed(1);
      context.logger.warn(`${messageOf(error)}. Taking the answer of ${hours} h ago: ${stale.bundle.bundleId}`);
      return stale.bundle;
    }
    requireTrust(image.facts.bundleId, image.facts.trust, minimumTrust);
    return await this.#prepare(`base image bundle ${image.facts.bundleId}`, async () => {
      const cached = force ? undefined : await this.#store.find(image, context);
      const bundle = cached ?? (await this.#add(image, context, force));
      await this.#store.remember(text, arch, bundle);
      return bundle;
    });
  }

  async #resolveOnly(options: EnsureBaseImageOptions): Promise<ResolvedImage> {
    const context = this.#context(options.signal);
    const asked = askedFrom(options, this.#options);
    return await this.#resolve(await this.#sourceOf(asked, options), asked, context);
  }

  async #resolve(source: ImageSource, asked: Asked, context: Context): Promise<ResolvedImage> {
    const { arch, selection, reference, text } = asked;
    context.onProgress({ phase: 'resolve', reference: text });
    const target = source.selects?.includes('kernel') === true ? await targetOf(asked) : undefined;
    const request = { ...context, arch, selection, ...(target === undefined ? {} : { target }) };
    return await source.resolve(reference.locator, request);
  }

  /** The source of a reference, which must offer the choices that the call makes. */
  async #sourceOf({ reference, selection }: Asked, call: EnsureBaseImageOptions): Promise<ImageSource> {
    const settings = sourceSettingsFrom(this.#options, process.env);
    const source = await sourceFor(reference.scheme, settings, this.#options.sources ?? []);
    const given = Object.keys(selection) as (keyof Selection)[];
    const foreign = given.find((name) => source.selects?.includes(name) !== true);
    if (foreign === undefined && (!call.firecrackerVersion || source.selects !== undefined)) return source;
    throw new SmartVMError(
      `Failed to choose an image: ${foreign ?? 'firecrackerVersion'} was given, and ${source.scheme} offers no such choice`,
      'INVALID_BASE_IMAGE_OPTIONS',
      { hint: 'It is for sets of the bucket, like latest, stable, v1.15 or a dated one.' },
    );
  }

  async #recall(text: string, arch: Arch, context: Context): Promise<Bundle | undefined> {
    return (await this.#store.recall(text, arch, context))?.bundle;
  }

  async #recallText(text: string, arch: Arch): Promise<Bundle | undefined> {
    try {
      return await this.#recall(formatReference(readReference(text)), arch, this.#context());
    } catch (error) {
      if (error instanceof SmartVMError && error.code === 'INVALID_BASE_IMAGE_REFERENCE') return undefined;
      throw error;
    }
  }

  #prepare<T>(what: string, work: () => Promise<T>): Promise<T> {
    return withIntent(`prepare ${what}`, 'BASE_IMAGE_PREPARE_FAILED', work, { passing: SPEAKS_FOR_ITSELF });
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

/** The release that was named, else the one of the Firecracker on PATH. */
async function targetOf({ firecrackerVersion }: Asked): Promise<TargetVmm | undefined> {
  if (firecrackerVersion !== undefined) return { version: firecrackerVersion, why: 'it was asked for' };
  const { firecrackerOnPath } = await import('./vmm/host.ts');
  const found = await firecrackerOnPath();
  if (found === undefined || found.version === '0.0.0') return undefined;
  return { version: `v${found.version}`, why: `it is ${found.command}` };
}

/** True when nobody could be asked; a wrong answer is no outage. */
function isOutage(error: unknown): boolean {
  for (let one: unknown = error; one instanceof Error; one = one.cause) {
    if (!(one instanceof SmartVMError)) continue;
    if (one.code === 'TRANSFER_NETWORK' || one.code === 'TRANSFER_TIMEOUT' || one.code === 'TRANSFER_STATUS')
      return true;
  }
  return false;
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
