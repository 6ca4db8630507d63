import { SmartVMError } from '../errors.ts';
import type {
  Arch,
  Artifact,
  ArtifactRole,
  Artifacts,
  BaseImageSource,
  Bundle,
  CompressedForm,
  ImageFacts,
  PinnedArtifact,
  PinnedArtifacts,
  ResolvedImage,
} from '../image.ts';
import type { LockedArtifact, LockedImage } from './lock.ts';

const ROLES: readonly ArtifactRole[] = ['kernel', 'rootfs', 'initrd'];

/** What a lock file says about an image that was just made sure of. */
export function lockedFrom({ facts, artifacts }: ResolvedImage, bundle: Bundle): LockedImage {
  const { preset, bundleId, ciVersion, firecrackerVersion, rootfsType, rootfsIsReadOnly, bootArgs, trust } = facts;
  const { checksums, sizes } = bundle;
  const entry = (artifact: Artifact, sha256: string, bytes: number): LockedArtifact => {
    const { fileName, url, etag, modifiedAt, compressed } = artifact;
    return {
      fileName,
      bytes,
      sha256,
      ...(url === undefined ? {} : { url }),
      ...(etag === undefined ? {} : { etag }),
      ...(modifiedAt === undefined ? {} : { modifiedAt }),
      ...(url === undefined || compressed?.sha256 === undefined
        ? {}
        : { compressed: { ...compressed, sha256: compressed.sha256 } }),
    };
  };
  const { initrdSha256, kernelSha256, rootfsSha256 } = checksums;
  return {
    preset,
    bundleId,
    ciVersion,
    firecrackerVersion,
    rootfsType,
    rootfsIsReadOnly,
    bootArgs,
    source: withoutPaths(facts.source),
    trust,
    artifacts: {
      kernel: entry(artifacts.kernel, kernelSha256, sizes.kernelBytes),
      rootfs: entry(artifacts.rootfs, rootfsSha256, sizes.rootfsBytes),
      ...(artifacts.initrd === undefined || initrdSha256 === undefined
        ? {}
        : { initrd: entry(artifacts.initrd, initrdSha256, sizes.initrdBytes ?? 0) }),
    },
  };
}

/** The image a lock file names, its artifacts opened by whoever can. */
export function pinnedImage(locked: LockedImage, reference: string, arch: Arch, artifacts: Artifacts): ResolvedImage {
  const { preset, bundleId, ciVersion, firecrackerVersion, rootfsType, rootfsIsReadOnly, bootArgs, source } = locked;
  const facts: ImageFacts = {
    reference,
    preset,
    bundleId,
    arch,
    ciVersion,
    firecrackerVersion,
    rootfsType,
    rootfsIsReadOnly,
    bootArgs,
    source: source as unknown as BaseImageSource,
    trust: 'pinned',
  };
  return { facts, artifacts, why: ['the lock file names it'] };
}

/** The artifacts of a locked image as a source may open them again; `undefined` when one has no address. */
export function pinnedArtifacts({ artifacts }: LockedImage): PinnedArtifacts | undefined {
  const pinned = (entry: LockedArtifact): PinnedArtifact | undefined => {
    const { fileName, bytes, sha256, url, etag, modifiedAt, compressed } = entry;
    if (url === undefined) return undefined;
    return {
      fileName,
      bytes,
      sha256,
      url,
      ...(etag === undefined ? {} : { etag }),
      ...(modifiedAt === undefined ? {} : { modifiedAt }),
      ...(compressed === undefined ? {} : { compressed: formOf(compressed) }),
    };
  };
  const [kernel, rootfs] = [pinned(artifacts.kernel), pinned(artifacts.rootfs)];
  const initrd = artifacts.initrd && pinned(artifacts.initrd);
  if (kernel === undefined || rootfs === undefined || (artifacts.initrd !== undefined && initrd === undefined)) {
    return undefined;
  }
  return { kernel, rootfs, ...(initrd === undefined ? {} : { initrd }) };
}

function formOf({ format, sha256, bytes }: NonNullable<LockedArtifact['compressed']>): CompressedForm {
  return { format, sha256, ...(bytes === undefined ? {} : { bytes }) };
}

/** Artifacts for looking into the cache alone: what they must be, and no way to get them. */
export function unopenable({ artifacts }: LockedImage): Artifacts {
  const closed = ({ fileName, bytes, sha256 }: LockedArtifact): Artifact => ({
    fileName,
    bytes,
    sha256,
    identity: `sha256 ${sha256}`,
    open: () => Promise.reject(new TypeError(`${fileName} of a lock file was opened`)),
  });
  const { kernel, rootfs, initrd } = artifacts;
  return {
    kernel: closed(kernel),
    rootfs: closed(rootfs),
    ...(initrd === undefined ? {} : { initrd: closed(initrd) }),
  };
}

/**
 * The image that a source finds now, held against the lock file: its artifacts must be the locked ones as far as anybody can
 * say, and get the locked digests.
 *
 * @throws SmartVMError `BASE_IMAGE_LOCK_MISMATCH` with every difference.
 */
export function agreeing(
  locked: LockedImage,
  found: ResolvedImage,
  reference: string,
  lockPath: string,
): ResolvedImage {
  const differences = ROLES.flatMap((role) => differencesIn(role, locked.artifacts[role], found.artifacts[role]));
  const packages = packagesDiffering(locked.source, found.facts.source);
  if (differences.length + packages.length > 0) throw mismatch(reference, lockPath, [...packages, ...differences]);
  const pin = (artifact: Artifact, { sha256, bytes }: LockedArtifact): Artifact => ({ ...artifact, sha256, bytes });
  const { kernel, rootfs, initrd } = found.artifacts;
  const artifacts = {
    kernel: pin(kernel, locked.artifacts.kernel),
    rootfs: pin(rootfs, locked.artifacts.rootfs),
    ...(initrd === undefined || locked.artifacts.initrd === undefined
      ? {}
      : { initrd: pin(initrd, locked.artifacts.initrd) }),
  };
  return pinnedImage(locked, reference, found.facts.arch, artifacts);
}

/** The error for what is no longer as a lock file says. */
export function mismatch(
  reference: string,
  lockPath: string,
  differences: readonly string[],
  cause?: unknown,
): SmartVMError {
  const shown =
    differences.length > 8 ? [...differences.slice(0, 8), `and ${differences.length - 8} more`] : differences;
  return new SmartVMError(
    `Failed to make sure of ${reference}: it is not what ${lockPath} says:\n  ${shown.join('\n  ')}`,
    'BASE_IMAGE_LOCK_MISMATCH',
    {
      hint: `If the change is wanted: smartvm lock --update ${JSON.stringify(reference)}`,
      ...(cause === undefined ? {} : { cause }),
    },
  );
}

function differencesIn(role: ArtifactRole, locked: LockedArtifact | undefined, found: Artifact | undefined): string[] {
  if (locked === undefined && found === undefined) return [];
  if (locked === undefined) return [`${role}: the lock file has none, now there is ${found?.fileName ?? ''}`];
  if (found === undefined) return [`${role}: the lock file has ${locked.fileName}, now there is none`];
  const lines: string[] = [];
  if (found.fileName !== locked.fileName) lines.push(`${role}: locked ${locked.fileName}, now ${found.fileName}`);
  if (found.bytes !== undefined && found.bytes !== locked.bytes) {
    lines.push(`${role}: locked ${locked.bytes} bytes, now ${found.bytes}`);
  }
  if (found.sha256 !== undefined && found.sha256.toLowerCase() !== locked.sha256) {
    lines.push(`${role}: locked SHA-256 ${locked.sha256}, now ${found.sha256.toLowerCase()}`);
  }
  return lines;
}

function packagesDiffering(locked: LockedImage['source'], found: BaseImageSource): string[] {
  if (found.type !== 'debian' || locked.type !== 'debian') return [];
  const was: readonly unknown[] = Array.isArray(locked['packages']) ? locked['packages'] : [];
  return [
    ...found.packages.filter((one) => !was.includes(one)).map((one) => `package now ${one}`),
    ...was.filter((one) => !found.packages.includes(String(one))).map((one) => `package locked ${String(one)}`),
  ];
}

/** Paths of one machine say nothing on another. */
function withoutPaths(source: BaseImageSource): LockedImage['source'] {
  if (source.type !== 'hosted-manifest') return { ...source };
  const { manifestPath: _m, kernelSourcePath: _k, rootfsSourcePath: _r, initrdSourcePath: _i, ...rest } = source;
  return rest;
}
