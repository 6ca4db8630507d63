import type { ImageSource } from '../image.ts';
import type { SourceSettings } from '../settings.ts';
import type { Images } from './firecracker-ci/images.ts';
import type { ObservedDigest } from './firecracker-ci/observed-digests.ts';
import { isDatedSet } from './firecracker-ci/set-name.ts';

/**
 * Sets of Firecracker's CI bucket, or of one laid out like it. Nobody publishes digests for them: sizes and ETags of the listing
 * are held against the transfer, and the trust is `first-use`.
 *
 * - `latest`: the folder of the newest release when it is complete, else the newest complete dated set, else the newest
 *   complete older release folder. Complete: it has a kernel and a root file system for the architecture.
 * - `stable`: the newest complete dated set, with the newest kernel that every supported release supports.
 * - `lts`: Firecracker v1.7.0 with the set `v1.7`, whose support has ended.
 * - `v1.15`: that folder, for v1.15.0.
 * - `20260923-6f82ac4cf331-0`: that set; `20260923`: the complete set of that day that was uploaded last. Both are for the oldest
 *   release that supports their kernel.
 */
export function createSource(settings: SourceSettings, observed?: ObservedDigest): ImageSource {
  let images: Promise<Images> | undefined;
  // A dated set that is here is found without these; they are loaded when something has to be looked up.
  const loaded = (): Promise<Images> =>
    (images ??= import('./firecracker-ci/images.ts').then(({ imagesOf }) => imagesOf(settings, observed)));
  return {
    scheme: 'firecracker-ci',
    asksEveryTime: true,
    selects: ['kernel', 'rootfs', 'require'],
    isFixed: isDatedSet,
    reopen: async (pinned) => (await loaded()).reopen(pinned),
    knownGood: async (locator, request) => (await loaded()).knownGood(locator, request),
    resolve: async (locator, request) => (await loaded()).resolve(locator, request),
  };
}
