import { SmartVMError, messageOf } from '../errors.ts';
import type { Bundle, Context, ImageSource, ResolvedImage, Trust } from '../image.ts';
import type { LockedImage } from '../lockfile/lock.ts';
import type { BundleStore } from '../store/bundle-store.ts';
import { requireTrust, type Asked, type Freshness } from './asked.ts';
import type { Finder } from './finder.ts';
import { causeWith, notCached, type Keeper } from './keeper.ts';
import type { LockKeeper } from './lock-keeper.ts';

export interface EnsurerParts {
  readonly store: BundleStore;
  readonly keeper: Keeper;
  readonly finder: Finder;
  readonly lock: LockKeeper | undefined;
  /** For words. */
  readonly cacheDir: string;
}

/** The three ways to a bundle: what the lock file names, what is remembered, what the source finds now. */
export class Ensurer {
  readonly #store: BundleStore;
  readonly #keeper: Keeper;
  readonly #finder: Finder;
  readonly #lock: LockKeeper | undefined;
  readonly #cacheDir: string;

  constructor({ store, keeper, finder, lock, cacheDir }: EnsurerParts) {
    this.#store = store;
    this.#keeper = keeper;
    this.#finder = finder;
    this.#lock = lock;
    this.#cacheDir = cacheDir;
  }

  async ensure(
    source: ImageSource,
    asked: Asked,
    freshness: Freshness,
    { frozen, minimumTrust }: { readonly frozen: boolean; readonly minimumTrust: Trust | undefined },
    context: Context,
  ): Promise<Bundle> {
    const locked = await this.#lockedFor(asked, frozen);
    const bundle =
      locked === undefined
        ? ((await this.#fromMemory(source, asked, freshness, context)) ??
          (await this.#fromSource(source, asked, freshness, minimumTrust, context)))
        : await this.#fromLock(locked, source, asked, freshness, context);
    requireTrust(bundle.bundleId, bundle.trust, minimumTrust);
    return bundle;
  }

  async #lockedFor(asked: Asked, frozen: boolean): Promise<LockedImage | undefined> {
    if (this.#lock !== undefined) return frozen ? await this.#lock.require(asked) : await this.#lock.find(asked);
    if (!frozen) return undefined;
    throw new SmartVMError('Failed to take what the lock file says: there is none', 'BASE_IMAGE_LOCK_MISMATCH', {
      hint: 'Write one with `smartvm lock <reference>`, or name it with --lock-file.',
    });
  }

  /** What the lock file names: from the cache by its digests, without a connection, else fetched and held against them. */
  async #fromLock(
    locked: LockedImage,
    source: ImageSource,
    asked: Asked,
    { force, offline }: Freshness,
    context: Context,
  ): Promise<Bundle> {
    const { text, arch } = asked;
    const { mismatch, pinnedImage, unopenable } = await import('../lockfile/locked-image.ts');
    const closed = pinnedImage(locked, text, arch, unopenable(locked));
    const cached = force ? undefined : await this.#keeper.prepare(text, () => this.#store.findContent(closed, context));
    if (cached !== undefined) return cached;
    if (offline) throw notCached(text, this.#cacheDir);
    const lockPath = this.#lock?.path ?? '';
    const image = await this.#reopened(locked, source, asked, context);
    try {
      return await this.#keeper.prepare(`base image bundle ${image.facts.bundleId}`, () =>
        this.#keeper.add(image, context, force),
      );
    } catch (error) {
      const changed = causeWith(error, ['STORE_DIGEST_MISMATCH', 'STORE_SIZE_MISMATCH', 'TRANSFER_TOO_LARGE']);
      throw changed === undefined ? error : mismatch(text, lockPath, [changed.message], error);
    }
  }

  /** The image that would be taken: the locked one, else the one that the source finds now. */
  async resolve(source: ImageSource, asked: Asked, frozen: boolean, context: Context): Promise<ResolvedImage> {
    const locked = await this.#lockedFor(asked, frozen);
    if (locked === undefined) return await this.#finder.resolve(source, asked, context);
    const image = await this.#reopened(locked, source, asked, context);
    return { ...image, why: [`${this.#lock?.path ?? 'the lock file'} names it`] };
  }

  async #reopened(locked: LockedImage, source: ImageSource, asked: Asked, context: Context): Promise<ResolvedImage> {
    const { agreeing, pinnedArtifacts, pinnedImage } = await import('../lockfile/locked-image.ts');
    const { text, arch } = asked;
    const again = pinnedArtifacts(locked);
    if (source.reopen !== undefined && again !== undefined) {
      return pinnedImage(locked, text, arch, (await source.reopen(again)).artifacts);
    }
    return agreeing(locked, await this.#finder.resolve(source, asked, context), text, this.#lock?.path ?? '');
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
      const bundle = await this.#keeper.prepare(text, async () => {
        if (source.resolvesOffline?.(reference.locator) !== true)
          return (await this.#store.recall(text, arch, context))?.bundle;
        return await this.#store.find(await source.resolve(reference.locator, { ...context, arch }), context);
      });
      if (bundle === undefined) throw notCached(text, this.#cacheDir);
      return bundle;
    }
    if (force) return undefined;
    const isFixed = !source.asksEveryTime || source.isFixed?.(reference.locator) === true;
    const oldestMs = isFixed ? Infinity : maxAgeMs;
    if (oldestMs === undefined) return undefined;
    const recalled = await this.#keeper.prepare(text, () => this.#store.recall(text, arch, context));
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
      image = await this.#finder.resolve(source, asked, context);
    } catch (error) {
      if (!staleIfError || !isOutage(error)) throw error;
      const stale = await this.#store.recall(text, arch, context);
      if (stale !== undefined) {
        const hours = (stale.ageMs / 3_600_000).toFixed(1);
        context.logger.warn(`${messageOf(error)}. Taking the answer of ${hours} h ago: ${stale.bundle.bundleId}`);
        return stale.bundle;
      }
      const shipped = await this.#finder.knownGood(source, asked, context);
      if (shipped === undefined) throw error;
      context.logger.warn(`${messageOf(error)}. Taking what this release knows: ${shipped.why?.[0] ?? ''}`);
      image = shipped;
    }
    requireTrust(image.facts.bundleId, image.facts.trust, minimumTrust);
    try {
      return await this.#keeper.obtain(image, asked, force, context);
    } catch (error) {
      if (causeWith(error, ['TRANSFER_CHANGED']) === undefined) throw error;
      context.logger.warn(`${messageOf(error)}. Looking ${text} up again.`);
    }
    const again = await this.#finder.resolve(source, asked, context);
    requireTrust(again.facts.bundleId, again.facts.trust, minimumTrust);
    return await this.#keeper.obtain(again, asked, force, context);
  }
}

/** True when nobody could be asked; a wrong answer is no outage. */
function isOutage(error: unknown): boolean {
  return causeWith(error, ['TRANSFER_NETWORK', 'TRANSFER_TIMEOUT', 'TRANSFER_STATUS']) !== undefined;
}
