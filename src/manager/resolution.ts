import type { Arch, ArtifactRole, CompressedForm, ResolvedImage, Trust } from '../image.ts';

/** What would be fetched for a reference, and why: nothing was. */
export interface Resolution {
  readonly reference: string;
  readonly bundleId: string;
  readonly arch: Arch;
  readonly ciVersion: string;
  readonly firecrackerVersion: string;
  readonly artifacts: readonly ResolvedArtifact[];
  readonly trust: Trust;
  /** The decisions that led here, in their order, each a sentence. */
  readonly why: readonly string[];
}

export interface ResolvedArtifact {
  readonly role: ArtifactRole;
  readonly fileName: string;
  /** Absent for what is made on this machine. */
  readonly url?: string;
  readonly bytes?: number;
  readonly sha256?: string;
  readonly etag?: string;
  /** How it lies at `url`, where that is not as it is stored. */
  readonly compressed?: CompressedForm;
}

/** What `ensureBaseImage` would do now. */
export interface EnsurePlan {
  readonly resolution: Resolution;
  /** True when the bundle is here. */
  readonly isCached: boolean;
  /** Bytes that would come over the network or from a build; absent when the source does not say its sizes. */
  readonly bytesToFetch?: number;
  /** Bytes that the file system has free where the cache is. */
  readonly freeBytes: number;
  /** Hosts that would be asked for artifacts. */
  readonly hosts: readonly string[];
  /** Bundles that retention would remove afterwards. */
  readonly wouldRemove: readonly string[];
}

const ROLES: readonly ArtifactRole[] = ['kernel', 'initrd', 'rootfs'];

/** A resolved image as data. */
export function resolutionOf({ facts, artifacts, why = [] }: ResolvedImage): Resolution {
  const { reference, bundleId, arch, ciVersion, firecrackerVersion, trust } = facts;
  return {
    reference,
    bundleId,
    arch,
    ciVersion,
    firecrackerVersion,
    artifacts: ROLES.flatMap((role) => {
      const artifact = artifacts[role];
      if (artifact === undefined) return [];
      const { fileName, url, bytes, sha256, etag, compressed } = artifact;
      return [
        {
          role,
          fileName,
          ...(url === undefined ? {} : { url }),
          ...(bytes === undefined ? {} : { bytes }),
          ...(sha256 === undefined ? {} : { sha256 }),
          ...(etag === undefined ? {} : { etag }),
          ...(compressed === undefined ? {} : { compressed }),
        },
      ];
    }),
    trust,
    why,
  };
}

/** The hosts of the artifacts, each once, in their order. */
export function hostsOf(resolution: Resolution): readonly string[] {
  const urls = resolution.artifacts.flatMap(({ url }) =>
    url !== undefined && URL.canParse(url) ? [new URL(url).host] : [],
  );
  return [...new Set(urls)];
}
