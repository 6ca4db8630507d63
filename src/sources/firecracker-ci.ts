import { oldestSupporting } from '../compat/guest-kernels.ts';
import { chooseKernels } from '../compat/kernel-choice.ts';
import { newestKnownRelease } from '../compat/releases.ts';
import { withIntent } from '../errors.ts';
import {
  bootArgsFor,
  type BaseImagePreset,
  type ImageSource,
  type ResolveRequest,
  type ResolvedImage,
} from '../image.ts';
import type { SourceSettings } from '../settings.ts';
import { artifactOf, observationsOf, reopened, type Bucket } from './firecracker-ci/artifacts.ts';
import { companionOf, siteOf } from './firecracker-ci/bucket.ts';
import { findSet, type FoundSet } from './firecracker-ci/find-set.ts';
import { chooseKernel } from './firecracker-ci/kernel.ts';
import { KNOWN_GOOD_AS_OF, KNOWN_GOOD_SET, knownGoodListing } from './firecracker-ci/known-good.ts';
import { observedDigest, type ObservedDigest } from './firecracker-ci/observed-digests.ts';
import { wishFrom } from './firecracker-ci/selection.ts';
import { contentOf, type KernelCandidate } from './firecracker-ci/set-content.ts';
import { isDatedSet, parseSetName, type WantedSet } from './firecracker-ci/set-name.ts';
import { targetOf, type Target } from './firecracker-ci/target.ts';

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
export function createSource(settings: SourceSettings, observed: ObservedDigest = observedDigest): ImageSource {
  const site = siteOf(settings);
  return {
    scheme: 'firecracker-ci',
    asksEveryTime: true,
    selects: ['kernel', 'rootfs', 'require'],
    isFixed: isDatedSet,
    reopen: (pinned) => reopened(pinned, site),
    knownGood: (locator, request) => knownGood(locator, { site, observed }, request),
    resolve: (locator, request) =>
      withIntent(
        `resolve ${locator} for ${request.arch}`,
        'BASE_IMAGE_RESOLVE_FAILED',
        () => resolve(locator, { site, observed }, request),
        {
          hint: 'Use what is cached with --offline, or another bucket with SMARTVM_BUCKET_URL.',
          passing: ['VERSION_FETCH_FAILED', 'INVALID_BASE_IMAGE_REFERENCE', 'INVALID_BASE_IMAGE_OPTIONS'],
        },
      ),
  };
}

async function resolve(locator: string, bucket: Bucket, request: ResolveRequest): Promise<ResolvedImage> {
  const wanted = parseSetName(locator);
  const wish = wishFrom(request.selection);
  if (wanted.kind === 'lts') {
    request.logger.warn(
      'lts is Firecracker v1.7.0, whose support ended on 2024-09-18; for one that is supported, ask for stable.',
    );
  }
  const set = await findSet(wanted, wish, bucket.site, request);
  const target = targetOf(wanted, set, request);
  const kernel = await chooseKernel(set, target, wish, bucket.site, request);
  return imageOf({ locator, wanted, set, target, kernel }, bucket, request);
}

/** Only where nothing is asked for that a listing would have to answer. */
function knownGood(locator: string, bucket: Bucket, request: ResolveRequest): ResolvedImage | undefined {
  const wanted = parseSetName(locator);
  const wish = wishFrom(request.selection);
  if ((wanted.kind !== 'latest' && wanted.kind !== 'stable') || wish.rootfs !== undefined || wish.require.length > 0) {
    return undefined;
  }
  const content = contentOf(knownGoodListing(request.arch), wish);
  const why = [`nobody could be asked; ${KNOWN_GOOD_SET} was whole on ${KNOWN_GOOD_AS_OF}, as this release knows`];
  const set: FoundSet = { name: KNOWN_GOOD_SET, content, why };
  const target = targetOf(wanted, { ...set, firecrackerVersion: newestKnownRelease() }, request);
  const { candidates, why: chosen } = chooseKernels(content.kernels, target.releases, wish.kernel);
  const [kernel] = candidates;
  return kernel && imageOf({ locator, wanted, set, target, kernel: { kernel, why: chosen } }, bucket, request);
}

interface Chosen {
  readonly locator: string;
  readonly wanted: WantedSet;
  readonly set: FoundSet;
  readonly target: Target;
  readonly kernel: { readonly kernel: KernelCandidate; readonly why: readonly string[] };
}

function imageOf(
  { locator, wanted, set, target, kernel: { kernel, why } }: Chosen,
  bucket: Bucket,
  { arch }: ResolveRequest,
): ResolvedImage {
  const { site } = bucket;
  const rootfs = set.content.rootfses.at(-1);
  if (rootfs === undefined) throw new Error(`${set.content.prefix} is not complete`);
  const isPreset = wanted.kind === 'latest' || wanted.kind === 'stable' || wanted.kind === 'lts';
  const preset: BaseImagePreset = isPreset ? wanted.kind : 'ci';
  const rootfsIsReadOnly = rootfs.rootfsType === 'squashfs';
  const observations = [kernel, rootfs].flatMap((candidate) => observationsOf(candidate, bucket));
  const observe = (observation: string): void => void observations.push(observation);
  return {
    facts: {
      reference: locator,
      preset,
      bundleId: bundleIdOf([preset, set.name, arch, kernel.name, rootfs.name]),
      arch,
      ciVersion: set.name,
      firecrackerVersion: target.version ?? oldestSupporting(seriesOf(kernel.version)),
      rootfsType: rootfs.rootfsType,
      rootfsIsReadOnly,
      bootArgs: bootArgsFor(arch, rootfs.rootfsType, rootfsIsReadOnly),
      source: {
        type: 'firecracker-ci',
        bucketUrl: site.bucketUrl,
        prefix: set.content.prefix,
        kernelKey: kernel.key,
        rootfsKey: rootfs.key,
      },
      trust: 'first-use',
    },
    artifacts: { kernel: artifactOf(kernel, bucket, observe), rootfs: artifactOf(rootfs, bucket, observe) },
    why: [...set.why, ...target.why, ...why, `${rootfs.name} is the root file system that is taken of this set`],
    observations,
    companions: {
      ...(kernel.configKey === undefined ? {} : { kernelConfig: companionOf(kernel.configKey, site) }),
      ...(rootfs.packageListKey === undefined ? {} : { packageList: companionOf(rootfs.packageListKey, site) }),
    },
  };
}

/** The seed's ids, cut at the 128 characters that an id may have. */
function bundleIdOf(parts: readonly string[]): string {
  return parts
    .join('-')
    .replace(/[^A-Za-z0-9._-]/g, '_')
    .slice(0, 128);
}

function seriesOf(version: string): string {
  return version.split('.').slice(0, 2).join('.');
}
