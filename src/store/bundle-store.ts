import { mkdir, readdir, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { SmartVMError, messageOf } from '../errors.ts';
import type { Arch, Artifact, ArtifactRole, Bundle, Context, ResolvedImage } from '../image.ts';
import { isBundleId, isPlainName } from '../image.ts';
import { Blobs, type CheckOptions } from './blobs.ts';
import { artifactsOf, bundleDirName } from './bundle-key.ts';
import { bestEffort, moveDirectory, randomSuffix, statOf, syncDirectory, unlessMissing, writeSynced } from './files.ts';
import { ingest } from './ingest.ts';
import { Layout } from './layout.ts';
import { unlessLeased } from './lease.ts';
import { tryLock, withLock } from './lock.ts';
import type { PruneEntry, PruneOptions, PruneReport } from './prune-report.ts';
import {
  RECORD_NAME,
  filesOf,
  formatRecord,
  readRecord,
  toBundle,
  type BundleRecord,
  type RecordedFile,
} from './record.ts';
import { readRemembered, writeRemembered } from './remembered.ts';
import { byWorth, toEvict } from './retention.ts';
import { ensureSpace } from './space.ts';
import { reading, writing } from './store-error.ts';
import { discard, sweepAll, sweepKey } from './sweep.ts';
import { checkRoot, prepareRoot } from './trusted-dir.ts';

export type { PruneEntry, PruneOptions, PruneReport } from './prune-report.ts';

export interface BundleStoreOptions {
  /** Root of the cache, absolute. Everything lies in `v1/` below it; the layout is drawn in `layout.ts`. */
  readonly cacheDir: string;
  /** A hit on a bundle that was last hashed longer ago than this hashes it again. Default 7 days. */
  readonly scrubAfterMs?: number;
}

const DEFAULT_SCRUB_AFTER_MS = 7 * 24 * 60 * 60_000;
/** What is taken from a source that does not say how much it will give. */
const MAX_BYTES: Readonly<Record<ArtifactRole, number>> = {
  kernel: 1024 ** 3,
  initrd: 4 * 1024 ** 3,
  rootfs: 64 * 1024 ** 3,
};
const PARALLEL_READS = 32;

/** Bundles on this disk. Any number of processes may use one cache at the same time. Making a store touches nothing. */
export class BundleStore {
  readonly #layout: Layout;
  readonly #blobs: Blobs;
  readonly #scrubAfterMs: number;

  constructor({ cacheDir, scrubAfterMs = DEFAULT_SCRUB_AFTER_MS }: BundleStoreOptions) {
    this.#layout = new Layout(cacheDir);
    this.#blobs = new Blobs(this.#layout);
    this.#scrubAfterMs = scrubAfterMs;
  }

  /**
   * The bundle of this image when it is here and every file is what it was when it was last hashed; `undefined` when it is
   * not here, or is damaged. Takes no lock, hashes nothing while the stamps hold, and needs to write nothing.
   *
   * Rejects with `STORE_UNREADABLE` (an unreadable cache is not an empty one) or `BASE_IMAGE_CACHE_UNSAFE`.
   */
  async find(image: ResolvedImage, context: Context): Promise<Bundle | undefined> {
    return await reading(`look for ${image.facts.bundleId}`, async () => {
      if (!(await checkRoot(this.#layout))) return undefined;
      const found = await this.#look(bundleDirName(image), context);
      return found === undefined || 'problem' in found ? undefined : asAsked(found.bundle, image);
    });
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
    refuseBadNames(image);
    const dirName = bundleDirName(image);
    await writing(`prepare the cache ${this.#layout.root}`, () => prepareRoot(this.#layout));
    const onWait = (holder: string): void => {
      context.onProgress({ phase: 'step', message: `waiting for ${holder}, which prepares ${image.facts.bundleId}` });
    };
    const lock = join(this.#layout.locks, `${dirName}.lock`);
    return await withLock(lock, { signal: context.signal, onWait }, async () => {
      await writing('clear what an earlier attempt left', () => sweepKey(this.#layout, this.#blobs, dirName));
      if (options.replace !== true) {
        const found = await reading(`look for ${dirName}`, () => this.#look(dirName, context));
        if (found !== undefined && 'bundle' in found) return asAsked(found.bundle, image);
        if (found !== undefined) await this.#quarantine(dirName, found.problem, context);
      }
      return await this.#make(image, dirName, options.replace ?? false, context);
    });
  }

  /** Every bundle, the last used first. Reads records only; a directory without a sound one is not a bundle. */
  async list(): Promise<readonly Bundle[]> {
    return await reading('list the cache', async () => {
      if (!(await checkRoot(this.#layout))) return [];
      const names = (await unlessMissing(() => readdir(this.#layout.bundles))) ?? [];
      const bundles: Bundle[] = [];
      for (let start = 0; start < names.length; start += PARALLEL_READS) {
        const some = names.slice(start, start + PARALLEL_READS).map((name) => this.#read(name));
        bundles.push(...(await Promise.all(some)).filter((bundle) => bundle !== undefined));
      }
      return bundles.sort(byWorth(() => false));
    });
  }

  /** Hashes every file of a bundle and says in words what is wrong with it; nothing when it is as it was stored. */
  async verify(bundle: Bundle, context: Context): Promise<readonly string[]> {
    return await reading(`verify ${bundle.bundleId}`, async () => {
      const found = await this.#look(basename(bundle.bundleDir), context, { scrubAfterMs: -Infinity, all: true });
      if (found === undefined) return [`${bundle.bundleDir} is missing`];
      return 'problem' in found ? found.problem : [];
    });
  }

  /** Removes a bundle and the content that no other bundle shares. Rejects with `STORE_LOCKED` while a machine uses it. */
  async remove(bundle: Bundle, context: Context): Promise<void> {
    const dirName = basename(bundle.bundleDir);
    await this.#requireOurs(bundle);
    const lock = join(this.#layout.locks, `${dirName}.lock`);
    await withLock(lock, { signal: context.signal }, async () => {
      const gone = await writing(`remove ${bundle.bundleId}`, () => this.#discardUnlessLeased(dirName));
      if (!gone) throw inUse(bundle);
    });
  }

  /**
   * Removes the least worth-while bundles beyond the limit, and what processes that died left behind. Bundles in use neither
   * count nor go. One that cannot be removed is reported, not thrown.
   */
  async prune(options: PruneOptions, context: Context): Promise<PruneReport> {
    if (options.dryRun !== true) await this.#sweep(context);
    const bundles = await this.list();
    const isProtected = (bundle: Bundle): boolean =>
      bundle.bundleDir === options.keepBundleDir || bundle.bundleId === options.keepBundleId;
    if (bundles.length <= options.limit) {
      return {
        removed: [],
        kept: [...bundles].sort(byWorth(isProtected)).map((one) => entry(one, 'within the limit')),
        skipped: [],
      };
    }
    const used = await this.#leased(bundles);
    const evicted = toEvict(bundles, options.limit, isProtected, (bundle) => used.has(bundle.bundleDir));
    const removed: PruneEntry[] = [];
    const skipped: PruneEntry[] = [];
    for (const bundle of evicted) {
      context.signal?.throwIfAborted();
      const why = `beyond the limit of ${options.limit}`;
      if (options.dryRun === true) {
        removed.push(entry(bundle, why));
        continue;
      }
      context.logger.warn(
        `[smartvm] Keeping ${options.limit} base images: removing ${bundle.bundleId} (${bundle.bundleDir}). Raise maxStoredBaseImages to keep more.`,
      );
      const problem = await this.#evict(bundle);
      if (problem !== undefined) context.logger.warn(`[smartvm] ${bundle.bundleDir} was not removed: ${problem}`);
      (problem === undefined ? removed : skipped).push(entry(bundle, problem ?? why));
    }
    const gone = new Set([...removed, ...skipped].map(({ bundleDir }) => bundleDir));
    const kept = bundles.filter(({ bundleDir }) => !gone.has(bundleDir)).sort(byWorth(isProtected));
    return {
      removed,
      kept: kept.map((one) => entry(one, used.has(one.bundleDir) ? 'in use' : 'within the limit')),
      skipped,
    };
  }

  /** What this reference resolved to last, when that bundle is still here and sound. Never asks anybody. */
  async recall(reference: string, arch: Arch, context: Context): Promise<Bundle | undefined> {
    return await reading(`look for ${reference}`, async () => {
      if (!(await checkRoot(this.#layout))) return undefined;
      const dirName = await readRemembered(this.#layout.remembered, reference, arch);
      const found = dirName === undefined ? undefined : await this.#look(dirName, context);
      return found !== undefined && 'bundle' in found ? found.bundle : undefined;
    });
  }

  /** Remembers what a reference resolved to, where the cache can be written. */
  async remember(reference: string, arch: Arch, bundle: Bundle): Promise<void> {
    await writeRemembered(this.#layout.remembered, reference, arch, basename(bundle.bundleDir));
  }

  /** The bundle in this directory with its use marked, or what is wrong with it, or nothing when there is none. */
  async #look(
    dirName: string,
    context: Context,
    { scrubAfterMs = this.#scrubAfterMs, all = false }: { scrubAfterMs?: number; all?: boolean } = {},
  ): Promise<{ readonly bundle: Bundle } | { readonly problem: readonly string[] } | undefined> {
    const bundleDir = join(this.#layout.bundles, dirName);
    const stats = await statOf(bundleDir);
    if (stats === undefined) return undefined;
    if (!stats.isDirectory()) return { problem: [`${bundleDir} is not a directory`] };
    const record = await readRecord(bundleDir);
    if (record === undefined) return { problem: [`${bundleDir} has no ${RECORD_NAME}`] };
    if (record === 'damaged') return { problem: [`${join(bundleDir, RECORD_NAME)} is damaged`] };
    const problem: string[] = [];
    for (const [, file] of filesOf(record)) {
      const check: CheckOptions = { scrubAfterMs, signal: context.signal };
      const wrong = await this.#blobs.problemWith(join(bundleDir, file.fileName), file, check);
      if (wrong !== undefined) problem.push(wrong);
      if (problem.length > 0 && !all) break;
    }
    if (problem.length > 0) return { problem };
    const lastAccessedAt = all ? await this.#lastUse(dirName, record) : await this.#markUse(dirName, record);
    return { bundle: toBundle(bundleDir, record, lastAccessedAt) };
  }

  async #read(dirName: string): Promise<Bundle | undefined> {
    const bundleDir = join(this.#layout.bundles, dirName);
    if ((await statOf(bundleDir))?.isDirectory() !== true) return undefined;
    const record = await readRecord(bundleDir);
    if (record === undefined || record === 'damaged') return undefined;
    return toBundle(bundleDir, record, await this.#lastUse(dirName, record));
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

  async #make(image: ResolvedImage, dirName: string, replace: boolean, context: Context): Promise<Bundle> {
    const staging = join(this.#layout.staging, `${dirName}.${randomSuffix()}`);
    await writing('begin a bundle', () => mkdir(staging, { mode: 0o700 }));
    const obtained = new Map<string, string>();
    try {
      const files = await this.#gather(image, staging, replace, obtained, context);
      const record: BundleRecord = { schemaVersion: 1, facts: image.facts, files, createdAt: new Date().toISOString() };
      return await writing(`publish ${image.facts.bundleId}`, () => this.#publish(staging, dirName, record));
    } catch (error) {
      await bestEffort(() => discard(this.#layout, this.#blobs, staging, obtained));
      throw error;
    }
  }

  /** All artifacts at once; the first failure ends the others, and nothing is left running when it is told. */
  async #gather(
    image: ResolvedImage,
    staging: string,
    replace: boolean,
    obtained: Map<string, string>,
    context: Context,
  ): Promise<BundleRecord['files']> {
    const known = replace ? new Map<string, string>() : await this.#knownContents();
    const artifacts = artifactsOf(image.artifacts);
    const contentOf = ({ sha256, identity }: Artifact): string | undefined =>
      sha256?.toLowerCase() ?? known.get(identity);
    let neededBytes = 0;
    for (const [, artifact] of artifacts) {
      const sha256 = contentOf(artifact);
      const isHere = !replace && sha256 !== undefined && (await this.#blobs.has(sha256));
      if (!isHere) neededBytes += artifact.bytes ?? 0;
    }
    await ensureSpace(this.#layout.root, neededBytes);

    const others = new AbortController();
    const signal = context.signal === undefined ? others.signal : AbortSignal.any([context.signal, others.signal]);
    const results = await Promise.allSettled(
      artifacts.map(async ([role, artifact]) => {
        try {
          const from = { ...context, signal };
          const file = await this.#obtain(role, artifact, contentOf(artifact), staging, replace, from);
          obtained.set(file.fileName, file.sha256);
          return [role, file] as const;
        } catch (error) {
          if (!others.signal.aborted) others.abort(error);
          throw error;
        }
      }),
    );
    context.signal?.throwIfAborted();
    if (others.signal.aborted) throw others.signal.reason;
    const files = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    return Object.fromEntries(files) as unknown as BundleRecord['files'];
  }

  /** One artifact as a file in staging: linked when its content is here, else fetched, under the lock of its content. */
  async #obtain(
    role: ArtifactRole,
    artifact: Artifact,
    sha256: string | undefined,
    staging: string,
    replace: boolean,
    context: Context,
  ): Promise<RecordedFile> {
    const path = join(staging, artifact.fileName);
    const check: CheckOptions = { scrubAfterMs: this.#scrubAfterMs, signal: context.signal };
    const fetched = async (): Promise<RecordedFile> => {
      if (sha256 !== undefined && !replace) {
        const content = await this.#blobs.linkTo(path, sha256, check);
        if (content !== undefined && (artifact.bytes === undefined || artifact.bytes === content.bytes)) {
          return recorded(artifact, content);
        }
        if (content !== undefined) await this.#blobs.drop(path, sha256);
      }
      const content = await ingest(artifact, path, context, {
        maxBytes: MAX_BYTES[role],
        onBytes: (bytes) => {
          const total = artifact.bytes === undefined ? {} : { totalBytes: artifact.bytes };
          context.onProgress({ phase: 'fetch', role, fileName: artifact.fileName, bytes, ...total });
        },
      });
      const adopting = replace ? { ...check, scrubAfterMs: -Infinity } : check;
      await writing(`store ${artifact.fileName}`, () => this.#blobs.adopt(path, content, adopting));
      return recorded(artifact, content);
    };
    if (artifact.sha256 === undefined) return await fetched();
    const lock = join(this.#layout.locks, `content-${artifact.sha256.toLowerCase()}.lock`);
    return await withLock(lock, { signal: context.signal }, fetched);
  }

  /** Digests of contents that bundles here already hold, by what their source calls them. */
  async #knownContents(): Promise<Map<string, string>> {
    const known = new Map<string, string>();
    for (const name of (await unlessMissing(() => readdir(this.#layout.bundles))) ?? []) {
      const record = await reading(`read ${name}`, () => readRecord(join(this.#layout.bundles, name)));
      if (record === undefined || record === 'damaged') continue;
      for (const [, { identity, sha256 }] of filesOf(record)) known.set(identity, sha256);
    }
    return known;
  }

  async #publish(staging: string, dirName: string, record: BundleRecord): Promise<Bundle> {
    const { bundles, used } = this.#layout;
    const bundleDir = join(bundles, dirName);
    await writeSynced(join(staging, RECORD_NAME), formatRecord(record), 0o444);
    await syncDirectory(staging);
    await syncDirectory(this.#layout.blobs);
    const created = new Date(record.createdAt);
    await writeFile(join(used, dirName), '', { mode: 0o600 });
    await utimes(join(used, dirName), created, created);
    const old = join(this.#layout.staging, `${dirName}.${randomSuffix()}.old`);
    const replaced = await unlessMissing(() => moveDirectory(bundleDir, old).then(() => true));
    try {
      await rename(staging, bundleDir);
      await syncDirectory(bundles);
      await this.#requirePublished(bundleDir, record);
    } catch (error) {
      if (replaced === true && (await statOf(bundleDir)) === undefined) await rename(old, bundleDir);
      throw error;
    }
    if (replaced === true) {
      await bestEffort(() => unlessLeased(old, () => discard(this.#layout, this.#blobs, old)));
    }
    return toBundle(bundleDir, record, record.createdAt);
  }

  /** A file system that says it renamed is not believed: the bundle is looked at where it should be. */
  async #requirePublished(bundleDir: string, record: BundleRecord): Promise<void> {
    const published = await readRecord(bundleDir);
    if (typeof published === 'object' && published.createdAt === record.createdAt) return;
    throw new SmartVMError(
      `Failed to publish ${bundleDir}: it was renamed to there, and is not there`,
      'STORE_UNWRITABLE',
      { hint: 'The file system of the cache does not do what it says: name another one with SMARTVM_CACHE_DIR.' },
    );
  }

  /** Clears what earlier attempts left, as far as that goes: nothing here is worth failing for. */
  async #sweep(context: Context): Promise<void> {
    if (!(await reading('look at the cache', () => checkRoot(this.#layout)))) return;
    try {
      await writing('clear what earlier attempts left', () => sweepAll(this.#layout, this.#blobs));
    } catch (error) {
      context.logger.warn(messageOf(error));
    }
  }

  async #quarantine(dirName: string, problem: readonly string[], context: Context): Promise<void> {
    const place = join(this.#layout.quarantine, `${dirName}.${randomSuffix()}`);
    await writing(`move the damaged ${dirName} aside`, () => moveDirectory(join(this.#layout.bundles, dirName), place));
    context.logger.warn(`Moved a damaged bundle to ${place} and will make it anew (${problem.join('; ')})`);
  }

  async #leased(bundles: readonly Bundle[]): Promise<Set<string>> {
    const used = new Set<string>();
    for (const { bundleDir } of bundles) {
      if ((await unlessLeased(bundleDir, () => Promise.resolve())) === undefined) used.add(bundleDir);
    }
    return used;
  }

  /** Removes a bundle; what stands against it is told in words. */
  async #evict(bundle: Bundle): Promise<string | undefined> {
    const dirName = basename(bundle.bundleDir);
    try {
      const lock = join(this.#layout.locks, `${dirName}.lock`);
      const done = await tryLock(lock, () => this.#discardUnlessLeased(dirName));
      if (done === undefined) return 'another process works on it';
      return done.result ? undefined : 'in use';
    } catch (error) {
      return messageOf(error);
    }
  }

  /** Out of sight in one step, then gone. False, and nothing was done, when a machine uses it. */
  async #discardUnlessLeased(dirName: string): Promise<boolean> {
    const bundleDir = join(this.#layout.bundles, dirName);
    const done = await unlessLeased(bundleDir, async () => {
      const trash = join(this.#layout.staging, `${dirName}.${randomSuffix()}.trash`);
      await moveDirectory(bundleDir, trash);
      await syncDirectory(this.#layout.bundles);
      await discard(this.#layout, this.#blobs, trash);
      await rm(join(this.#layout.used, dirName), { force: true });
      await rm(join(this.#layout.receipts, dirName), { recursive: true, force: true });
    });
    return done !== undefined;
  }

  /** Only what lies in our marked folder and has a sound record of its own is ever removed. */
  async #requireOurs(bundle: Bundle): Promise<void> {
    const dirName = basename(bundle.bundleDir);
    const ours =
      (await reading('look at the cache', () => checkRoot(this.#layout))) &&
      bundle.bundleDir === join(this.#layout.bundles, dirName);
    if (ours && (await this.#read(dirName)) !== undefined) return;
    throw new SmartVMError(
      `Failed to remove ${bundle.bundleDir}: it is not a bundle of ${this.#layout.root}`,
      'BASE_IMAGE_NOT_CACHED',
    );
  }
}

/** The bundle in the words of this call: the same image may have been asked for in other words before. */
function asAsked(bundle: Bundle, { facts }: ResolvedImage): Bundle {
  return { ...bundle, reference: facts.reference };
}

function recorded(artifact: Artifact, { sha256, bytes }: { sha256: string; bytes: number }): RecordedFile {
  const promised = (['sha256', 'bytes'] as const).filter((field) => artifact[field] !== undefined);
  return { fileName: artifact.fileName, identity: artifact.identity, sha256, bytes, promised };
}

/** A source of our own or of a caller must not name files that leave the bundle, or that overwrite each other. */
function refuseBadNames({ facts, artifacts }: ResolvedImage): void {
  const names = artifactsOf(artifacts).map(([, { fileName }]) => fileName);
  const folded = names.map((name) => name.toLowerCase());
  const bad = names.find((name) => !isPlainName(name) || name.toLowerCase() === RECORD_NAME);
  if (isBundleId(facts.bundleId) && bad === undefined && new Set(folded).size === folded.length) return;
  const what = !isBundleId(facts.bundleId)
    ? `bundleId ${JSON.stringify(facts.bundleId.slice(0, 200))}`
    : `file names ${JSON.stringify(names)}`;
  throw new SmartVMError(`Failed to name the bundle: the source gave ${what}`, 'STORE_CORRUPT', {
    hint: `Ids and names are letters, digits, ".", "_" and "-", at most 128, all different, and not ${RECORD_NAME}.`,
  });
}

function entry(bundle: Bundle, reason: string): PruneEntry {
  const { kernelBytes, rootfsBytes, initrdBytes = 0 } = bundle.sizes;
  return {
    bundleId: bundle.bundleId,
    bundleDir: bundle.bundleDir,
    bytes: kernelBytes + rootfsBytes + initrdBytes,
    reason,
  };
}

function inUse(bundle: Bundle): SmartVMError {
  return new SmartVMError(`Failed to remove ${bundle.bundleId}: a machine uses it`, 'STORE_LOCKED', {
    hint: 'Stop the machine that was booted from it, and ask again.',
    retryable: true,
  });
}
