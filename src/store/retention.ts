import type { Bundle } from '../image.ts';

/** A clock that was ahead leaves times in the future; this much of it is no reason to doubt a time. */
const TOLERATED_FUTURE_MS = 24 * 60 * 60_000;

/** How much may stay. Bundles in use do not count. */
export interface Allowance {
  readonly bundles: number;
  /** Bytes of all contents, each counted once however many bundles share it. */
  readonly bytes?: number;
}

/**
 * Protected bundles first, then the last used, then the newest, then by name. A time that cannot be read, or lies in the
 * future, counts as the oldest: it would otherwise be kept for ever.
 */
export function byWorth(
  isProtected: (bundle: Bundle) => boolean,
  nowMs: number = Date.now(),
): (a: Bundle, b: Bundle) => number {
  const timeOf = (iso: string): number => {
    const time = Date.parse(iso);
    return time <= nowMs + TOLERATED_FUTURE_MS ? time : -Infinity;
  };
  return (a, b) =>
    Number(isProtected(b)) - Number(isProtected(a)) ||
    timeOf(b.lastAccessedAt) - timeOf(a.lastAccessedAt) ||
    timeOf(b.createdAt) - timeOf(a.createdAt) ||
    (a.bundleDir < b.bundleDir ? -1 : 1);
}

/** One bundle that must go, and the rule that says so. */
export interface Eviction {
  readonly bundle: Bundle;
  readonly beyond: keyof Allowance;
}

/**
 * What goes, in the order of its worth, when this much may stay. Bundles in use neither count nor go; the number of bytes
 * makes no protected bundle go, nor a better one so that a smaller and worse one may stay.
 */
export function toEvict(
  bundles: readonly Bundle[],
  allowed: Allowance,
  isProtected: (bundle: Bundle) => boolean,
  inUse: (bundle: Bundle) => boolean,
): readonly Eviction[] {
  const candidates = bundles.filter((bundle) => !inUse(bundle)).sort(byWorth(isProtected));
  const contents = new Map<string, number>();
  const fits = (bundle: Bundle): boolean => {
    for (const [sha256, bytes] of contentsOf(bundle)) contents.set(sha256, bytes);
    return [...contents.values()].reduce((sum, bytes) => sum + bytes, 0) <= (allowed.bytes ?? Infinity);
  };
  const firstTooLarge = candidates.findIndex((bundle) => !fits(bundle) && !isProtected(bundle));
  return candidates.flatMap((bundle, rank): Eviction[] => {
    if (rank >= allowed.bundles) return [{ bundle, beyond: 'bundles' }];
    return firstTooLarge !== -1 && rank >= firstTooLarge ? [{ bundle, beyond: 'bytes' }] : [];
  });
}

function contentsOf({ checksums, sizes }: Bundle): readonly (readonly [sha256: string, bytes: number])[] {
  const { initrdSha256 } = checksums;
  return [
    [checksums.kernelSha256, sizes.kernelBytes],
    [checksums.rootfsSha256, sizes.rootfsBytes],
    ...(initrdSha256 === undefined ? [] : ([[initrdSha256, sizes.initrdBytes ?? 0]] as const)),
  ];
}
