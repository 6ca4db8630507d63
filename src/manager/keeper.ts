import { SmartVMError, isAbortError, messageOf, withIntent, type SmartVMErrorCode } from '../errors.ts';
import type { Bundle, Context, ResolvedImage } from '../image.ts';
import type { LockedImage } from '../lockfile/lock.ts';
import type { BundleStore, PruneOptions } from '../store/bundle-store.ts';
import type { Asked } from './asked.ts';
import type { LockKeeper } from './lock-keeper.ts';

/** Codes that already say what a user wants to know; everything else is told as a failed preparation. */
const SPEAKS_FOR_ITSELF: readonly SmartVMErrorCode[] = [
  'BASE_IMAGE_CACHE_UNSAFE',
  'BASE_IMAGE_BUILD_FAILED',
  'BASE_IMAGE_BELOW_TRUST',
];

/** How much is kept. */
export interface Limits {
  readonly bundles: number;
  readonly bytes: number | undefined;
}

/** The cache as one manager uses it: what is added makes room for itself, and what the lock file names stays. */
export class Keeper {
  readonly #store: BundleStore;
  readonly #limits: Limits;
  readonly #lock: LockKeeper | undefined;
  /** Contents that are about to be written into the lock file. */
  readonly #toBeLocked = new Set<string>();

  constructor(store: BundleStore, limits: Limits, lock: LockKeeper | undefined) {
    this.#store = store;
    this.#limits = limits;
    this.#lock = lock;
  }

  /** The bundle of an image, from the cache or fetched, and remembered as the answer to what was asked. */
  async obtain(image: ResolvedImage, { text, arch }: Asked, force: boolean, context: Context): Promise<Bundle> {
    return await this.prepare(`base image bundle ${image.facts.bundleId}`, async () => {
      const cached = force ? undefined : await this.#store.find(image, context);
      const bundle = cached ?? (await this.add(image, context, force));
      const before = await this.#store.remember(text, arch, bundle);
      if (before !== undefined && before.preset === bundle.preset) await warnOfGoingBack(text, before, bundle, context);
      return bundle;
    });
  }

  /** Fetches an image and lets older bundles go; that they cannot is told and is no failure. */
  async add(image: ResolvedImage, context: Context, replace: boolean): Promise<Bundle> {
    const bundle = await this.#store.add(image, context, { replace });
    try {
      const maxBytes = this.#limits.bytes === undefined ? {} : { maxBytes: this.#limits.bytes };
      const exempt = await this.exemptions();
      await this.#store.prune(
        { limit: this.#limits.bundles, ...maxBytes, ...exempt, keepBundleDir: bundle.bundleDir, reportKept: false },
        context,
      );
    } catch (error) {
      if (isAbortError(error)) throw error;
      context.logger.warn(`The bundle is ready, but old ones could not be pruned: ${messageOf(error)}`);
    }
    return bundle;
  }

  /** Bundles whose content the lock file names, or is about to, stay and do not count. */
  async exemptions(): Promise<Pick<PruneOptions, 'exempt'>> {
    const entries = (await this.#lock?.entries()) ?? [];
    const contents = new Set([...entries.map(({ locked }) => contentOf(locked)), ...this.#toBeLocked]);
    if (contents.size === 0) return {};
    const isExempt = (bundle: Bundle): boolean => contents.has(checksumsOf(bundle));
    return { exempt: { isExempt, reason: 'in the lock file' } };
  }

  /** Keeps this bundle as one that will be in the lock file. */
  keepForLock(bundle: Bundle): void {
    this.#toBeLocked.add(checksumsOf(bundle));
  }

  /** Runs what works on the cache; its failures are told as a failed preparation, unless they speak for themselves. */
  prepare<T>(what: string, work: () => Promise<T>): Promise<T> {
    return withIntent(`prepare ${what}`, 'BASE_IMAGE_PREPARE_FAILED', work, { passing: SPEAKS_FOR_ITSELF });
  }
}

/** A publisher who offers an older release than before made a mistake, or is not who he was. */
async function warnOfGoingBack(text: string, before: Bundle, now: Bundle, { logger }: Context): Promise<void> {
  const { default: lt } = await import('semver/functions/lt.js');
  if (!lt(now.firecrackerVersion, before.firecrackerVersion)) return;
  logger.warn(
    `${text} went back: it was ${before.bundleId} for ${before.firecrackerVersion}, and is ${now.bundleId} for ${now.firecrackerVersion} now. Pin what you want with \`smartvm lock\`.`,
  );
}

function contentOf({ artifacts }: LockedImage): string {
  return `${artifacts.kernel.sha256} ${artifacts.rootfs.sha256}`;
}

function checksumsOf({ checksums }: Bundle): string {
  return `${checksums.kernelSha256} ${checksums.rootfsSha256}`;
}

/** The first error with one of these codes among an error and its causes. */
export function causeWith(error: unknown, codes: readonly SmartVMErrorCode[]): SmartVMError | undefined {
  for (let one: unknown = error; one instanceof Error; one = one.cause) {
    if (one instanceof SmartVMError && codes.includes(one.code)) return one;
  }
  return undefined;
}

/** The error for what the cache does not have. */
export function notCached(what: string, cacheDir: string): SmartVMError {
  return new SmartVMError(
    `Failed to find ${JSON.stringify(what)} in the cache: nothing in ${cacheDir} goes by that name`,
    'BASE_IMAGE_NOT_CACHED',
    { hint: `See what is there with "smartvm list", or fetch it with "smartvm ensure ${what}".` },
  );
}
