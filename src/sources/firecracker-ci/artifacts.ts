import {
  toPlainName,
  type Artifact,
  type PinnedArtifact,
  type PinnedArtifacts,
  type ResolvedImage,
} from '../../image.ts';
import { remoteOpener } from '../../transfer/transfer.ts';
import { companionOf, objectUrl, type Site } from './bucket.ts';
import { EtagCheck, watched } from './etag-check.ts';
import type { ObservedDigest } from './observed-digests.ts';
import type { Candidate } from './set-content.ts';

/** A bucket, and what others saw in it. */
export interface Bucket {
  readonly site: Site;
  readonly observed: ObservedDigest;
}

/** The transfer is bound to the ETag that was listed, so that kernel and root never come from different uploads. */
export function artifactOf(
  { key, name, bytes, etag, modifiedAtMs }: Candidate,
  { site, observed }: Bucket,
  observe: (observation: string) => void,
): Artifact {
  const url = objectUrl(site.bucketUrl, key);
  const sha256 = observed(site.bucketUrl, key);
  const open = remoteOpener({ url, bytes, sha256, etag }, site.network);
  return {
    fileName: toPlainName(name),
    identity: identityOf(url, etag ?? modifiedAtMs, bytes),
    url,
    ...(bytes === undefined ? {} : { bytes }),
    ...(sha256 === undefined ? {} : { sha256 }),
    ...(etag === undefined ? {} : { etag }),
    ...(modifiedAtMs === 0 ? {} : { modifiedAt: new Date(modifiedAtMs).toISOString() }),
    async open(context, range) {
      const stream = await open(context, range);
      const check = range === undefined ? EtagCheck.of(etag, bytes) : undefined;
      if (check === undefined) return stream;
      const end = (): void => observe(`${name}: the bytes ${check.agrees() ? 'are' : 'are NOT'} what the ETag says`);
      return watched(stream, (chunk) => check.update(chunk), end);
    },
  };
}

/** What stands for the bytes of an object besides themselves. */
export function observationsOf({ key, name, bytes, etag }: Candidate, { site, observed }: Bucket): string[] {
  const digest = observed(site.bucketUrl, key);
  return [
    ...(bytes === undefined ? [] : [`${name}: ${bytes} bytes, as the listing said`]),
    ...(etag === undefined ? [] : [`${name}: ETag ${etag}, as the listing said`]),
    ...(digest === undefined
      ? []
      : [`${name}: SHA-256 ${digest}, as third parties observed it; upstream publishes none`]),
  ];
}

/** From the bucket of these site, wherever the lock file found them: the digests decide. */
export function reopened(pinned: PinnedArtifacts, site: Site): Pick<ResolvedImage, 'artifacts' | 'companions'> {
  const { bucketUrl } = site;
  const keyOf = (url: string): string => {
    const { pathname } = new URL(url);
    const path = pathname.slice(Math.max(0, pathname.indexOf('/firecracker-ci/'))).replace(/^\//, '');
    return path.split('/').map(decoded).join('/');
  };
  const artifact = ({ fileName, url, bytes, sha256, etag, modifiedAt }: PinnedArtifact): Artifact => {
    const here = objectUrl(bucketUrl, keyOf(url));
    return {
      fileName,
      identity: identityOf(here, etag ?? Date.parse(modifiedAt ?? ''), bytes),
      bytes,
      sha256,
      url: here,
      ...(etag === undefined ? {} : { etag }),
      open: remoteOpener({ url: here, bytes, sha256 }, site.network),
    };
  };
  const [kernel, rootfs] = [keyOf(pinned.kernel.url), keyOf(pinned.rootfs.url)];
  return {
    artifacts: { kernel: artifact(pinned.kernel), rootfs: artifact(pinned.rootfs) },
    companions: {
      kernelConfig: companionOf(`${kernel}.config`, site),
      packageList: companionOf(rootfs.replace(/\.[^.]*$/, '.manifest'), site),
    },
  };
}

function identityOf(url: string, version: string | number, bytes?: number): string {
  return JSON.stringify(['firecracker-ci', url, version, bytes]);
}

/** A segment of an address as it was before it was escaped; one that nobody escaped is left as it is. */
function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}
