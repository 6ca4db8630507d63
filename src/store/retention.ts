import type { Bundle } from '../image.ts';

/** Protected bundles first, then the last used, then the newest; an unreadable time counts as the oldest. */
export function byWorth(isProtected: (bundle: Bundle) => boolean): (a: Bundle, b: Bundle) => number {
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

function timeOf(iso: string): number {
  const time = Date.parse(iso);
  return Number.isNaN(time) ? -Infinity : time;
}
