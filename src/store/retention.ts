import type { Bundle } from '../image.ts';

/** A clock that was ahead leaves times in the future; this much of it is no reason to doubt a time. */
const TOLERATED_FUTURE_MS = 24 * 60 * 60_000;

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

/** What goes when `limit` bundles may stay, in the order of their worth. Bundles in use neither count nor go. */
export function toEvict(
  bundles: readonly Bundle[],
  limit: number,
  isProtected: (bundle: Bundle) => boolean,
  inUse: (bundle: Bundle) => boolean,
): readonly Bundle[] {
  return bundles
    .filter((bundle) => !inUse(bundle))
    .sort(byWorth(isProtected))
    .slice(limit);
}
