import { SmartVMError } from '../../errors.ts';

/** What the locator of this source asks for. */
export type WantedSet =
  | { readonly kind: 'latest' }
  | { readonly kind: 'stable' }
  | { readonly kind: 'lts' }
  /** `v1.15` */
  | { readonly kind: 'release'; readonly name: string }
  /** `20260923-6f82ac4cf331-0` */
  | { readonly kind: 'dated'; readonly name: string }
  /** `20260923` */
  | { readonly kind: 'day'; readonly day: string };

/** The folder of all sets. */
export const SETS = 'firecracker-ci/';

const DATED = /^(\d{8})-[0-9a-f]{12}-\d{1,6}$/;
const RELEASE = /^v\d{1,6}\.\d{1,6}$/;

/** @throws SmartVMError `INVALID_BASE_IMAGE_REFERENCE` when the locator names no set. */
export function parseSetName(locator: string): WantedSet {
  if (locator === 'latest' || locator === 'stable' || locator === 'lts') return { kind: locator };
  if (isReleaseSet(locator)) return { kind: 'release', name: locator };
  if (isDatedSet(locator)) return { kind: 'dated', name: locator };
  if (/^\d{8}$/.test(locator)) return { kind: 'day', day: locator };
  throw new SmartVMError(
    `Failed to read ${JSON.stringify(locator.slice(0, 200))} as a set of Firecracker's CI bucket`,
    'INVALID_BASE_IMAGE_REFERENCE',
    { hint: 'Use latest, stable, lts, v1.15, 20260923, or a whole dated name like 20260923-6f82ac4cf331-0.' },
  );
}

/** True for `v1.15`, and for none of the feature branches beside it. */
export function isReleaseSet(name: string): boolean {
  return RELEASE.test(name);
}

/** True for `20260923-6f82ac4cf331-0`. */
export function isDatedSet(name: string): boolean {
  return DATED.test(name);
}

/** `firecracker-ci/v1.15/` -> `v1.15`. */
export function setNameOf(folder: string): string {
  return folder.slice(SETS.length).replace(/\/$/, '');
}

/** The day in the name of a dated set; a day sorts as text. */
export function dayOf(name: string): string {
  return name.slice(0, 8);
}
