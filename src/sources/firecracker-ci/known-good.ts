import type { Arch } from '../../image.ts';
import type { Listing } from './bucket.ts';
import { SETS } from './set-name.ts';

/** The day on which these sets were last known to be whole. */
export const KNOWN_GOOD_AS_OF = '2026-11-01';

/** The newest set that public sources name whole for both architectures. */
export const KNOWN_GOOD_SET = '20260923-6f82ac4cf331-0';
const NAMES = ['vmlinux-6.1.186', 'vmlinux-6.18.48', 'ubuntu-24.04.squashfs'];

/** What a listing of that set would say, as far as it is known without asking: names, no sizes, no ETags. */
export function knownGoodListing(arch: Arch): Listing {
  const prefix = `${SETS}${KNOWN_GOOD_SET}/${arch}/`;
  const modifiedAtMs = Date.parse('2026-09-23T00:00:00Z');
  return { prefix, objects: NAMES.map((name) => ({ key: prefix + name, modifiedAtMs })), folders: [] };
}
