import { basename, join } from 'node:path';
import { SmartVMError } from '../errors.ts';
import { transferBytes, type Arch, type Bundle, type Context, type ImageFacts, type ResolvedImage } from '../image.ts';
import { Blobs } from './blobs.ts';
import { artifactsOf, bundleDirName } from './bundle-key.ts';
import { BundleMaker } from './bundle-maker.ts';
import { BundlePruner } from './bundle-pruner.ts';
import { BundleReader, type Found } from './bundle-reader.ts';
import { BundleRemover } from './bundle-remover.ts';
import { Evictions } from './evictions.ts';
import { checkImage } from './check-image.ts';
import { Layout } from './layout.ts';
import { withLock } from './lock.ts';
import { contentKey } from './known-contents.ts';
import type { PruneOptions, PruneReport } from './prune-report.ts';
import { readRemembered, writeRemembered } from './remembered.ts';
import { freeBytesAt } from './space.ts';
import { reading, writing } from './store-error.ts';
import { sweepKey } from './sweep.ts';
import { checkRoot, prepareRoot } from './trusted-dir.ts';

export type { PruneEntry, PruneOptions, PruneReport } from './prune-report.ts';

/** What a reference resolved to, and how long ago that was. */
export interface Recalled {
  readonly bundle: Bundle;
  readonly ageMs: number;
}

export interface BundleStoreOptions {
  /** Root of the cache, absolute. Everything lies in `v1/` below it; the layout is drawn in `layout.ts`. */
  readonly cacheDir: string;
  /** A hit on a bundle that was last hashed longer ago than this hashes it again. Default 7 days. */
  readonly scrubAfterMs?: number;
  /** `'always'`: hash every file on every hit, and read back what was just written. Default: as `scrubAfterMs` says. */
  readonly verify?: 'always' | undefined;
}

const DEFAULT_SCRUB_AFTER_MS = 7 * 24 * 60 * 60_000;

/** Bundles on this disk. Any number of processes may use one cache at the same time. Making a store touches nothing. */
export class BundleStore {
  readonly #layout: Layout;
  readonly #blobs: Blobs;
  readonly #reader: BundleReader;
  readonly #maker: BundleMaker;
  readonly #remover: BundleRemover;
  readonly #evictions: Evictions;
  readonly #pruner: BundlePruner;
  readonly #scrubAfterMs: number;
  readonly #readBack: boolean;

  constructor({ cacheDir, scrubAfterMs = DEFAULT_SCRUB_AFTER_MS, verify }: BundleStoreOptions) {
    this.#layout = new Layout(cacheDir);
    this.#blobs = new Blobs(this.#layout);
    this.#reader = new BundleReader(this.#layout, this.#blobs);
    this.#maker = new BundleMaker(this.#layout, this.#blobs);
    this.#remover = new BundleRemover(this.#layout, this.#blobs);
    this.#evictions = new Evictions(this.#layout.used);
    this.#pruner = new BundlePruner({
      layout: this.#layout,
      blobs: this.#blobs,
      reader: this.#reader,
      remover: this.#remover,
      evictions: this.#evictions,
    });
    this.#readBack = verify === 'always';
    this.#scrubAfterMs = this.#readBack ? -Infinity : scrubAfterMs;
  }

  /**
   * The bundle of this image when it is here and every file is what it was when it was last hashed; `undefined` when it is
   * not here, or is damaged. Takes no lock, hashes nothing while the stamps hold, and needs to write nothing.
   *
   * Rejects with `STORE_UNREADABLE` (an unreadable cache is not an empty one) or `BASE_IMAGE_CACHE_UNSAFE`.
   */
  async find(image: ResolvedImage, context: Context): Promise<Bundle | undefined> {
    const found = await this.#find(`look for ${image.facts.bundleId}`, () => bundleDirName(image), context);
    return found && asAsked(found, image);
  }

  /**
   * Makes sure that the bundle of this image is here, and returns it: fetches what is not, verifies every byte while it is
   * written, and makes the whole visible in one step. With `replace` everything is fetched again; the old bundle stays
   * until the new one is whole.
   *
   * When it rejects, the cache is as it was before: with a `STORE_…` code, `BASE_IMAGE_CACHE_UNSAFE`, whatever an artifact's stream
   * rejects with, or the signal's reason.
   */
  async add(image: ResolvedImage, context: Context, options: { readonly replace?: boolean } = {}): Promise<Bundle> {
    checkImage(image);
    const { replace = false } = options;
    const dirName = bundleDirName(image);
    await writing(`prepare the cache ${this.#layout.root}`, () => prepareRoot(this.#layout));
    const onWait = (holder: string): void => {
      context.onProgress({ phase: 'step', message: `waiting for ${holder}, which prepares ${image.facts.bundleId}` });
    };
    return await withLock(this.#lockOf(dirName), { signal: context.signal, onWait }, async () => {
      const contents = artifactsOf(image.artifacts).map(([, artifact]) => contentKey(artifact));
      await writing('clear what an earlier attempt left', () => sweepKey(this.#layout, this.#blobs, dirName, contents));
      const found = replace ? undefined : await reading(`look for ${dirName}`, () => this.#look(dirName, context));
      if (found !== undefined && 'bundle' in found) return asAsked(found.bundle, image);
      if (found !== undefined) {
        const place = await this.#remover.quarantine(dirName);
        const why = found.problem.join('; ');
        context.logger.warn(`Moved a damaged bundle to ${place} and will make it anew (${why})`);
      }
      const ageMs = await this.#evictions.takeAgeMs(dirName);
      if (ageMs !== undefined) context.logger.warn(againSoon(image.facts.bundleId, ageMs));
      const [scrubAfterMs, readBack] = [this.#scrubAfterMs, this.#readBack];
      return await this.#maker.make(image, dirName, context, { replace, scrubAfterMs, readBack });
    });
  }

  /** Every bundle, the last used first. Reads records only; a directory without a sound one is not a bundle. */
  async list(): Promise<readonly Bundle[]> {
    return await reading('list the cache', async () => (checkRoot(this.#layout) ? await this.#reader.list() : []));
  }

  /** Hashes every file of a bundle and says in words what is wrong with it; nothing when it is as it was stored. */
  async verify(bundle: Bundle, context: Context): Promise<readonly string[]> {
    return await reading(`verify ${bundle.bundleId}`, () =>
      this.#reader.problemsWith(basename(bundle.bundleDir), context.signal),
    );
  }

  /** Removes a bundle and the content that no other bundle shares. Rejects with `STORE_LOCKED` while a machine uses it. */
  async remove(bundle: Bundle, context: Context): Promise<void> {
    const dirName = basename(bundle.bundleDir);
    await this.#requireOurs(bundle);
    await withLock(this.#lockOf(dirName), { signal: context.signal }, async () => {
      if (await this.#remover.remove(dirName)) return;
      throw new SmartVMError(`Failed to remove ${bundle.bundleId}: a machine uses it`, 'STORE_LOCKED', {
        hint: 'Stop the machine that was booted from it, and ask again.',
        retryable: true,
      });
    });
  }

  /**
   * Removes the least worth-while bundles beyond the limit, and what processes that died left behind. Bundles in use neither
   * count nor go. One that cannot be removed is reported, not thrown.
   */
  async prune(options: PruneOptions, context: Context): Promise<PruneReport> {
    return await this.#pruner.prune(options, context);
  }

  /** What this reference resolved to last, when that bundle is still here and sound. Never asks anybody. */
  async recall(reference: string, arch: Arch, context: Context): Promise<Recalled | undefined> {
    let atMs = 0;
    const dirName = async (): Promise<string | undefined> => {
      const remembered = await readRemembered(this.#layout.remembered, reference, arch);
      atMs = remembered?.atMs ?? 0;
      return remembered?.dirName;
    };
    const bundle = await this.#find(`look for ${reference}`, dirName, context);
    return bundle && { bundle: { ...bundle, reference }, ageMs: Math.max(0, Date.now() - atMs) };
  }

  /**
   * A bundle that says what this image says and holds what this image must be by its digests, whatever it was asked for as
   * and however much it was trusted then; every artifact has to have a digest.
   */
  async findContent(image: ResolvedImage, context: Context): Promise<Bundle | undefined> {
    for (const bundle of await this.list()) {
      if (!hasContentOf(bundle, image)) continue;
      const found = await this.#find(`look for ${bundle.bundleId}`, () => basename(bundle.bundleDir), context);
      if (found !== undefined) return asAsked(found, image);
    }
    return undefined;
  }

  /** True when there is a bundle of this image, whether or not it is sound. Reads records only. */
  async holds(image: ResolvedImage): Promise<boolean> {
    const place = join(this.#layout.bundles, bundleDirName(image));
    return (await this.list()).some((bundle) => bundle.bundleDir === place || hasContentOf(bundle, image));
  }

  /** How many bytes making this image would fetch, and how many are free; `undefined` where the source says no size. */
  async need(image: ResolvedImage): Promise<{ readonly bytesToFetch: number | undefined; readonly freeBytes: number }> {
    const isThere = await reading('look at the cache', () => checkRoot(this.#layout));
    const bytesToFetch = isThere ? await this.#maker.bytesToFetch(image) : sizeOf(image);
    return { bytesToFetch, freeBytes: await this.freeBytes() };
  }

  /** How many bytes are free on the disk of the cache. */
  async freeBytes(): Promise<number> {
    return await reading('look at the disk', () => freeBytesAt(this.#layout.root));
  }

  /**
   * Remembers what a reference resolved to, where the cache can be written. Resolves with what it resolved to before, when that was
   * another bundle, which is here still.
   */
  async remember(reference: string, arch: Arch, bundle: Bundle): Promise<Bundle | undefined> {
    const dirName = basename(bundle.bundleDir);
    const before = await writeRemembered(this.#layout.remembered, reference, arch, dirName);
    return before === undefined || before === dirName ? undefined : await this.#reader.read(before);
  }

  async #find(
    step: string,
    nameOf: () => string | undefined | Promise<string | undefined>,
    context: Context,
  ): Promise<Bundle | undefined> {
    return await reading(step, async () => {
      if (!checkRoot(this.#layout)) return undefined;
      const dirName = await nameOf();
      const found = dirName === undefined ? undefined : await this.#look(dirName, context);
      return found !== undefined && 'bundle' in found ? found.bundle : undefined;
    });
  }

  #look(dirName: string, { signal }: Context): Promise<Found | undefined> {
    return this.#reader.find(dirName, { scrubAfterMs: this.#scrubAfterMs, signal });
  }

  #lockOf(dirName: string): string {
    return join(this.#layout.locks, `${dirName}.lock`);
  }

  /** Only what lies in our marked folder and has a sound record of its own is ever removed. */
  async #requireOurs({ bundleDir }: Bundle): Promise<void> {
    const dirName = basename(bundleDir);
    const ours = await reading('look at the cache', async () => {
      if (!checkRoot(this.#layout) || bundleDir !== join(this.#layout.bundles, dirName)) return false;
      return (await this.#reader.read(dirName)) !== undefined;
    });
    if (ours) return;
    throw new SmartVMError(
      `Failed to remove ${bundleDir}: it is not a bundle of ${this.#layout.root}`,
      'BASE_IMAGE_NOT_CACHED',
    );
  }
}

/** The bundle in the words of this call: the same image may have been asked for in other words, and trusted less, before. */
function asAsked(bundle: Bundle, { facts }: ResolvedImage): Bundle {
  return { ...bundle, reference: facts.reference, preset: facts.preset, trust: facts.trust };
}

const SAME: readonly (keyof ImageFacts)[] = [
  'bundleId',
  'arch',
  'ciVersion',
  'firecrackerVersion',
  'rootfsType',
  'rootfsIsReadOnly',
  'bootArgs',
];

/** True when it says what the image says and holds what the image must be by all of its digests. */
function hasContentOf(bundle: Bundle, image: ResolvedImage): boolean {
  const { kernel, rootfs, initrd } = image.artifacts;
  const { kernelSha256, rootfsSha256, initrdSha256 } = bundle.checksums;
  const isSame = kernel.sha256 === kernelSha256 && rootfs.sha256 === rootfsSha256 && initrd?.sha256 === initrdSha256;
  return isSame && (initrd === undefined) === (initrdSha256 === undefined) && saysTheSame(bundle, image);
}

function saysTheSame(bundle: Bundle, { facts, artifacts }: ResolvedImage): boolean {
  const names = [artifacts.kernel.fileName, artifacts.rootfs.fileName];
  const here = [bundle.kernelImagePath, bundle.rootfsPath].map((path) => basename(path));
  return SAME.every((name) => bundle[name] === facts[name]) && names.join('/') === here.join('/');
}

function sizeOf(image: ResolvedImage): number | undefined {
  const sizes = artifactsOf(image.artifacts).map(([, artifact]) => transferBytes(artifact));
  return sizes.reduce<number | undefined>(
    (sum, bytes) => (sum === undefined || bytes === undefined ? undefined : sum + bytes),
    0,
  );
}

function againSoon(bundleId: string, ageMs: number): string {
  const minutes = Math.round(ageMs / 60_000);
  return `[smartvm] ${bundleId} is fetched again ${minutes} min after it was removed to make room. Raise maxStoredBaseImages or maxStoredBytes to keep more.`;
}
