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
export function sortByWorth(
  bundles: readonly Bundle[],
  isProtected: (bundle: Bundle) => boolean,
  nowMs: number = Date.now(),
): readonly Bundle[] {
  const timeOf = (iso: string): number => {
    const time = Date.parse(iso);
    return time <= nowMs + TOLERATED_FUTURE_MS ? time : -Infinity;
  };
  // Times are read once for each bundle and not for each comparison.
  const ranked = bundles.map((bundle) => ({
    bundle,
    protection: Number(isProtected(bundle)),
    usedAt: timeOf(bundle.lastAccessedAt),
    createdAt: timeOf(bundle.createdAt),
  }));
  ranked.sort(
    (a, b) =>
      b.protection - a.protection ||
      b.usedAt - a.usedAt ||
      b.createdAt - a.createdAt ||
      (a.bundle.bundleDir < b.bundle.bundleDir ? -1 : 1),
  );
  return ranked.map(({ bundle }) => bundle);
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
  const candidates = sortByWorth(
    bundles.filter((bundle) => !inUse(bundle)),
    isProtected,
  );
  const contents = new Set<string>();
  let totalBytes = 0;
  const fits = (bundle: Bundle): boolean => {
    for (const [sha256, bytes] of contentsOf(bundle)) {
      if (!contents.has(sha256)) totalBytes += bytes;
      contents.add(sha256);
    }
    return totalBytes <= (allowed.bytes ?? Infinity);
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
