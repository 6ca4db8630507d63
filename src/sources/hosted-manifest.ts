import { dirname } from 'node:path';
import {
  bootArgsFor,
  type Artifact,
  type ArtifactRole,
  type BaseImageSource,
  type ImageFacts,
  type ImageSource,
  type PinnedArtifact,
  type ResolvedImage,
} from '../image.ts';
import type { SourceSettings } from '../settings.ts';
import { shown } from '../transfer/address.ts';
import { Network } from '../transfer/network.ts';
import { localArtifact, remoteArtifact } from './hosted-manifest/artifacts.ts';
import { fileNamesOf } from './hosted-manifest/file-names.ts';
import { isUrl, readManifest, type ReadManifest } from './hosted-manifest/read.ts';
import type { ArtifactManifest } from './hosted-manifest/manifest.ts';
import type { ManifestOrigin } from './hosted-manifest/usable.ts';

const ROLES = ['kernel', 'rootfs', 'initrd'] as const;

/** Images that a manifest names: the locator is its path, or its address. */
export function createSource(settings: SourceSettings): ImageSource {
  const network = new Network(settings);
  return {
    scheme: 'hosted-manifest',
    asksEveryTime: true,
    resolvesOffline: (locator) => !isUrl(locator),
    reopen: ({ kernel, rootfs, initrd }) => {
      const again = (pinned: PinnedArtifact): Artifact =>
        remoteArtifact(pinned.fileName, pinned.url, manifestOf(pinned), network);
      const artifacts = { kernel: again(kernel), rootfs: again(rootfs) };
      return { artifacts: initrd === undefined ? artifacts : { ...artifacts, initrd: again(initrd) } };
    },
    async resolve(locator, request) {
      return await resolvedImage(locator, await readManifest(locator, network, request));
    },
  };
}

/** What a manifest would say of a file that is known from before. */
function manifestOf({ url, sha256, bytes, compressed }: PinnedArtifact): ArtifactManifest {
  const plain = { url, sha256, sizeBytes: bytes };
  if (compressed === undefined) return plain;
  const { bytes: sizeBytes, ...form } = compressed;
  return { ...plain, compressed: { ...form, sizeBytes } };
}

interface Located {
  readonly artifact: Artifact;
  readonly sourcePath?: string;
  readonly url?: string;
}

async function resolvedImage(locator: string, read: ReadManifest): Promise<ResolvedImage> {
  const { manifest, origin, network } = read;
  const names = fileNamesOf(manifest);
  const kernel = await locate('kernel', names.kernel, manifest.kernel, origin, network);
  const rootfs = await locate('rootfs', names.rootfs, manifest.rootfs, origin, network);
  const initrd = manifest.initrd && (await locate('initrd', names.initrd, manifest.initrd, origin, network));
  const source: BaseImageSource = {
    type: 'hosted-manifest',
    ...defined({
      manifestUrl: origin.manifestUrl,
      manifestPath: origin.manifestPath,
      kernelUrl: kernel.url,
      rootfsUrl: rootfs.url,
      initrdUrl: initrd?.url,
      kernelSourcePath: kernel.sourcePath,
      rootfsSourcePath: rootfs.sourcePath,
      initrdSourcePath: initrd?.sourcePath,
    }),
  };
  const artifacts = { kernel: kernel.artifact, rootfs: rootfs.artifact };
  return {
    facts: factsOf(locator, read, source),
    why: [`${shown(locator)} names these files`],
    artifacts: initrd === undefined ? artifacts : { ...artifacts, initrd: initrd.artifact },
  };
}

async function locate(
  role: ArtifactRole,
  fileName: string,
  entry: ArtifactManifest,
  { manifestPath = '' }: ManifestOrigin,
  network: Network,
): Promise<Located> {
  if (entry.url === undefined) return await localArtifact(fileName, role, entry, dirname(manifestPath));
  return { artifact: remoteArtifact(fileName, entry.url, entry, network), url: entry.url };
}

function factsOf(locator: string, { manifest, isAuthentic }: ReadManifest, source: BaseImageSource): ImageFacts {
  const { arch, rootfsType, bootArgs } = manifest;
  const rootfsIsReadOnly = manifest.rootfsIsReadOnly ?? rootfsType === 'squashfs';
  const everyDigest = ROLES.every((role) => manifest[role] === undefined || manifest[role].sha256 !== undefined);
  return {
    reference: locator,
    preset: 'hosted',
    bundleId: manifest.bundleId,
    arch,
    ciVersion: 'hosted',
    firecrackerVersion: manifest.firecrackerVersion,
    rootfsType,
    rootfsIsReadOnly,
    bootArgs: bootArgs === undefined || bootArgs === '' ? bootArgsFor(arch, rootfsType, rootfsIsReadOnly) : bootArgs,
    source,
    trust: everyDigest && isAuthentic ? 'published' : 'first-use',
  };
}

/** Without the fields that are not there. */
function defined<T extends Readonly<Record<string, string | undefined>>>(
  fields: T,
): { readonly [Name in keyof T]?: string } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [Name in keyof T]?: string;
  };
}
