import { oldestSupporting } from '../compat/guest-kernels.ts';
import { withIntent } from '../errors.ts';
import {
  bootArgsFor,
  toPlainName,
  type Artifact,
  type BaseImagePreset,
  type ImageSource,
  type ResolveRequest,
  type ResolvedImage,
  type SourceSettings,
} from '../image.ts';
import { openStream } from '../transfer/transfer.ts';
import { companionOf, objectUrl } from './firecracker-ci/bucket.ts';
import { findSet } from './firecracker-ci/find-set.ts';
import { chooseKernel } from './firecracker-ci/kernel.ts';
import { wishFrom } from './firecracker-ci/selection.ts';
import type { Candidate } from './firecracker-ci/set-content.ts';
import { isDatedSet, parseSetName } from './firecracker-ci/set-name.ts';
import { targetOf } from './firecracker-ci/target.ts';

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
export function createSource(given: SourceSettings): ImageSource {
  const settings = { ...given, bucketUrl: given.bucketUrl.replace(/\/+$/, '') };
  return {
    scheme: 'firecracker-ci',
    asksEveryTime: true,
    selects: ['kernel', 'rootfs', 'require'],
    isFixed: isDatedSet,
    resolve: (locator, request) =>
      withIntent(
        `resolve ${locator} for ${request.arch}`,
        'BASE_IMAGE_RESOLVE_FAILED',
        () => resolve(locator, settings, request),
        {
          hint: 'Use what is cached with --offline, or another bucket with SMARTVM_BUCKET_URL.',
          passing: ['VERSION_FETCH_FAILED', 'INVALID_BASE_IMAGE_REFERENCE', 'INVALID_BASE_IMAGE_OPTIONS'],
        },
      ),
  };
}

async function resolve(locator: string, settings: SourceSettings, request: ResolveRequest): Promise<ResolvedImage> {
  const wanted = parseSetName(locator);
  const wish = wishFrom(request.selection);
  const { arch, logger } = request;
  if (wanted.kind === 'lts') {
    logger.warn(
      'lts is Firecracker v1.7.0, whose support ended on 2024-09-18; for one that is supported, ask for stable.',
    );
  }
  const set = await findSet(wanted, wish, settings, request);
  const target = targetOf(wanted, set, request);
  const { kernel, why } = await chooseKernel(set, target, wish, settings, request);
  const rootfs = set.content.rootfses.at(-1);
  if (rootfs === undefined) throw new Error(`${set.content.prefix} is not complete`);

  const preset: BaseImagePreset =
    wanted.kind === 'latest' || wanted.kind === 'stable' || wanted.kind === 'lts' ? wanted.kind : 'ci';
  const rootfsIsReadOnly = rootfs.rootfsType === 'squashfs';
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
        bucketUrl: settings.bucketUrl,
        prefix: set.content.prefix,
        kernelKey: kernel.key,
        rootfsKey: rootfs.key,
      },
      trust: 'first-use',
    },
    artifacts: { kernel: artifactOf(kernel, settings), rootfs: artifactOf(rootfs, settings) },
    why: [...set.why, ...target.why, ...why, `${rootfs.name} is the root file system that is taken of this set`],
    companions: {
      ...(kernel.configKey === undefined ? {} : { kernelConfig: companionOf(kernel.configKey, settings) }),
      ...(rootfs.packageListKey === undefined ? {} : { packageList: companionOf(rootfs.packageListKey, settings) }),
    },
  };
}

/** The transfer is bound to the ETag that was listed, so that kernel and root never come from different uploads. */
function artifactOf({ key, name, bytes, etag, modifiedAtMs }: Candidate, settings: SourceSettings): Artifact {
  const url = objectUrl(settings.bucketUrl, key);
  return {
    fileName: toPlainName(name),
    identity: JSON.stringify(['firecracker-ci', url, etag ?? modifiedAtMs, bytes]),
    bytes,
    url,
    ...(etag === undefined ? {} : { etag }),
    ...(modifiedAtMs === 0 ? {} : { modifiedAt: new Date(modifiedAtMs).toISOString() }),
    async open({ signal }, range) {
      const options = { policy: settings, signal, expectedBytes: bytes, ifMatch: etag, range };
      return (await openStream(url, options)).body;
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
