import { oldestSupporting } from '../../compat/guest-kernels.ts';
import { chooseKernels } from '../../compat/kernel-choice.ts';
import { newestKnownRelease } from '../../compat/releases.ts';
import { withIntent } from '../../errors.ts';
import {
  bootArgsFor,
  type BaseImagePreset,
  type ImageSource,
  type ResolveRequest,
  type ResolvedImage,
} from '../../image.ts';
import type { SourceSettings } from '../../settings.ts';
import { artifactOf, observationsOf, reopened, type Bucket } from './artifacts.ts';
import { companionOf, siteOf } from './bucket.ts';
import { findSet, type FoundSet } from './find-set.ts';
import { chooseKernel } from './kernel.ts';
import { KNOWN_GOOD_AS_OF, KNOWN_GOOD_SET, knownGoodListing } from './known-good.ts';
import { observedDigest, type ObservedDigest } from './observed-digests.ts';
import { wishFrom } from './selection.ts';
import { contentOf, type KernelCandidate } from './set-content.ts';
import { parseSetName, type WantedSet } from './set-name.ts';
import { targetOf, type Target } from './target.ts';

/** What finds the images of one bucket; nothing is asked before it has to be. */
export interface Images {
  readonly reopen: NonNullable<ImageSource['reopen']>;
  readonly knownGood: NonNullable<ImageSource['knownGood']>;
  readonly resolve: ImageSource['resolve'];
}

export function imagesOf(settings: SourceSettings, observed: ObservedDigest = observedDigest): Images {
  const site = siteOf(settings);
  return {
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
