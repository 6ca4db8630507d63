import { isDeepStrictEqual } from 'node:util';
import type { ImageDifference } from '../compare.ts';
import type { Arch, Context } from '../image.ts';
import type { LockedImage } from '../lockfile/lock.ts';
import type { BaseImageManagerOptions, EnsureBaseImageOptions } from '../options.ts';
import { askedFrom, requireTrust, type Asked } from './asked.ts';
import type { Finder } from './finder.ts';
import type { Keeper } from './keeper.ts';
import type { LockEntry, LockKeeper } from './lock-keeper.ts';

export interface LockBaseImagesOptions {
  /** Look up anew what the file has already. Default false. */
  readonly update?: boolean | undefined;
  /** Say what would change, and write nothing. */
  readonly dryRun?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What became of one reference in the lock file. */
export interface LockChange {
  /** As it stands in the file. */
  readonly reference: string;
  readonly arch: Arch;
  readonly change: 'added' | 'updated' | 'unchanged';
  /** From what the file had to what there is now. */
  readonly difference?: ImageDifference;
}

export interface LockReport {
  readonly lockFile: string;
  readonly isWritten: boolean;
  readonly changes: readonly LockChange[];
}

export interface LockParts {
  readonly finder: Finder;
  readonly keeper: Keeper;
  readonly lock: LockKeeper;
  readonly managerOptions: BaseImageManagerOptions;
}

/** Writes into the lock file what is asked, or all that it has when nothing is; in the end, or not at all. */
export async function lockImages(
  parts: LockParts,
  asking: readonly EnsureBaseImageOptions[],
  options: LockBaseImagesOptions,
  context: Context,
): Promise<LockReport> {
  const { lock, managerOptions } = parts;
  const there = await lock.entries();
  const all = asking.length > 0 ? asking : there.map(({ key, arch }) => lock.optionsOf(key, arch));
  const changes: LockChange[] = [];
  const written: LockEntry[] = [];
  for (const call of all) {
    const asked = askedFrom(call, managerOptions);
    const [key, { arch }] = [lock.keyOf(asked), asked];
    const old = there.find((entry) => entry.key === key && entry.arch === arch)?.locked;
    if (old !== undefined && options.update !== true) {
      changes.push({ reference: key, arch, change: 'unchanged' });
      continue;
    }
    const { locked, change } = await relock(parts, asked, call, old, context);
    changes.push({ reference: key, arch, ...change });
    written.push({ key, arch, locked });
  }
  const isNew = changes.some(({ change }) => change !== 'unchanged');
  if (isNew && options.dryRun !== true) await lock.write(written);
  return { lockFile: lock.path, isWritten: isNew && options.dryRun !== true, changes };
}

async function relock(
  { finder, keeper, managerOptions }: LockParts,
  asked: Asked,
  call: EnsureBaseImageOptions,
  old: LockedImage | undefined,
  context: Context,
): Promise<{ readonly locked: LockedImage; readonly change: Pick<LockChange, 'change' | 'difference'> }> {
  const { lockedFrom, pinnedArtifacts, pinnedImage, unopenable } = await import('../lockfile/locked-image.ts');
  const source = await finder.sourceOf(asked, call);
  const image = await finder.resolve(source, asked, context);
  requireTrust(image.facts.bundleId, image.facts.trust, call.minimumTrust ?? managerOptions.minimumTrust);
  const bundle = await keeper.obtain(image, asked, false, context);
  keeper.keepForLock(bundle);
  const locked = lockedFrom(image, bundle);
  if (old === undefined) return { locked, change: { change: 'added' } };
  if (isDeepStrictEqual(old, locked)) return { locked, change: { change: 'unchanged' } };
  const { describeImage, differenceBetween } = await import('../compare.ts');
  const again = pinnedArtifacts(old);
  const companions = again === undefined ? undefined : (await source.reopen?.(again))?.companions;
  const before = pinnedImage(old, asked.text, asked.arch, unopenable(old));
  const difference = differenceBetween(
    await describeImage(companions === undefined ? before : { ...before, companions }, context),
    await describeImage(image, context),
  );
  return { locked, change: { change: 'updated', difference } };
}
