import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { SmartVMError, isAbortError, messageOf, withIntent } from '../errors.ts';
import {
  bootArgsFor,
  type Arch,
  type Artifact,
  type ArtifactRole,
  type BaseImageSource,
  type Context,
  type ImageFacts,
  type ImageSource,
  type ResolvedImage,
  type SourceSettings,
} from '../image.ts';
import { allowedUrl, isLoopback, shown, type TransferPolicy } from '../transfer/address.ts';
import { getDocument } from '../transfer/transfer.ts';
import { localArtifact, namesOf, remoteArtifact } from './hosted-manifest/artifacts.ts';
import { parseManifest } from './hosted-manifest/parse.ts';
import type { ArtifactManifest, HostedManifest } from './hosted-manifest/schema.ts';

const MAX_MANIFEST_BYTES = 1024 * 1024;
const ROLES = ['kernel', 'rootfs', 'initrd'] as const;

/** Where a manifest was read from. */
interface Origin {
  readonly manifestUrl?: string;
  readonly manifestPath?: string;
  readonly policy: TransferPolicy;
}

/** Images that a manifest names: the locator is its path, or its address. */
export function createSource({ allowHttp }: SourceSettings): ImageSource {
  return {
    scheme: 'hosted-manifest',
    asksEveryTime: true,
    resolvesOffline: (locator) => !isUrl(locator),
    async resolve(locator, request) {
      const origin = originOf(locator, allowHttp);
      const bytes = await readManifest(locator, origin, request);
      const manifest = parseManifest(bytes, JSON.stringify(isUrl(locator) ? shown(locator) : locator));
      requireArch(manifest, request.arch);
      return await resolvedImage(locator, manifest, origin);
    },
  };
}

/** A caller who names a manifest without TLS has configured its origin himself; what it names there may be fetched there. */
function originOf(locator: string, allowHttp: readonly string[]): Origin {
  if (!isUrl(locator)) return { manifestPath: resolve(locator), policy: { allowHttp } };
  const own = URL.canParse(locator) ? [new URL(locator).origin] : [];
  return { manifestUrl: locator, policy: { allowHttp: [...allowHttp, ...own] } };
}

async function readManifest(
  locator: string,
  { manifestPath, policy }: Origin,
  { signal }: Context,
): Promise<Uint8Array> {
  if (manifestPath === undefined) {
    return await withIntent(`read the manifest ${shown(locator)}`, 'BASE_IMAGE_MANIFEST_FAILED', async () => {
      const { body } = await getDocument(locator, { policy, signal, maxBytes: MAX_MANIFEST_BYTES });
      return body;
    });
  }
  try {
    return await readSmallFile(manifestPath);
  } catch (cause) {
    if (isAbortError(cause)) throw cause;
    throw new SmartVMError(
      `Failed to read the manifest ${manifestPath}: ${messageOf(cause)}`,
      'BASE_IMAGE_MANIFEST_FAILED',
      {
        cause,
        hint: 'Check the path, and that this user may read the file.',
      },
    );
  }
}

async function readSmallFile(path: string): Promise<Buffer> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stats = await handle.stat();
    if (!stats.isFile()) throw new Error('it is not a regular file');
    if (stats.size > MAX_MANIFEST_BYTES)
      throw new Error(`it is ${stats.size} bytes, and at most ${MAX_MANIFEST_BYTES} are read`);
    return await handle.readFile();
  } finally {
    await handle.close();
  }
}

function requireArch(manifest: HostedManifest, arch: Arch): void {
  if (manifest.arch === arch) return;
  throw new SmartVMError(
    `Failed to use the manifest of ${manifest.bundleId}: arch is ${manifest.arch}, and ${arch} was asked for`,
    'INVALID_BASE_IMAGE_MANIFEST',
    { hint: `Ask for arch ${manifest.arch} (--arch ${manifest.arch}), or for a manifest of ${arch}.` },
  );
}

async function resolvedImage(locator: string, manifest: HostedManifest, origin: Origin): Promise<ResolvedImage> {
  const names = namesOf(manifest);
  const found = new Map<
    ArtifactRole,
    { readonly artifact: Artifact; readonly sourcePath?: string; readonly url?: string }
  >();
  for (const role of ROLES) {
    const entry = manifest[role];
    if (entry !== undefined) found.set(role, await locate(role, names[role], entry, origin));
  }
  const kernel = found.get('kernel');
  const rootfs = found.get('rootfs');
  const initrd = found.get('initrd');
  if (kernel === undefined || rootfs === undefined) throw new TypeError('a parsed manifest has a kernel and a rootfs');
  const source: BaseImageSource = {
    type: 'hosted-manifest',
    ...defined({ manifestUrl: origin.manifestUrl, manifestPath: origin.manifestPath }),
    ...defined({ kernelUrl: kernel.url, rootfsUrl: rootfs.url, initrdUrl: initrd?.url }),
    ...defined({
      kernelSourcePath: kernel.sourcePath,
      rootfsSourcePath: rootfs.sourcePath,
      initrdSourcePath: initrd?.sourcePath,
    }),
  };
  const facts = factsOf(locator, manifest, source);
  const artifacts = { kernel: kernel.artifact, rootfs: rootfs.artifact };
  return { facts, artifacts: initrd === undefined ? artifacts : { ...artifacts, initrd: initrd.artifact } };
}

async function locate(
  role: ArtifactRole,
  fileName: string,
  entry: ArtifactManifest,
  { manifestUrl, manifestPath, policy }: Origin,
): Promise<{ readonly artifact: Artifact; readonly sourcePath?: string; readonly url?: string }> {
  if (entry.url !== undefined) {
    requireUsable(role, entry.url, policy, manifestUrl);
    return { artifact: remoteArtifact(fileName, entry.url, entry, policy), url: entry.url };
  }
  if (manifestPath === undefined) {
    throw new SmartVMError(
      `Failed to use the manifest ${shown(manifestUrl ?? '')}: ${role}.path names a local file, which a manifest from the network may not`,
      'INVALID_BASE_IMAGE_MANIFEST',
      { hint: 'Publish the file beside the manifest and give its url and sha256.' },
    );
  }
  return await localArtifact(fileName, role, entry, dirname(manifestPath));
}

/** An address that will never be asked is told with the manifest, before anything is fetched. */
function requireUsable(role: ArtifactRole, url: string, policy: TransferPolicy, manifestUrl: string | undefined): void {
  try {
    const parsed = allowedUrl(url, policy);
    const fromAfar = manifestUrl !== undefined && !isLoopback(new URL(manifestUrl));
    if (fromAfar && isLoopback(parsed)) throw new Error(`${shown(url)} is on this machine, and the manifest is not`);
  } catch (cause) {
    throw new SmartVMError(
      `Failed to use the manifest: ${role}.url: ${messageOf(cause)}`,
      'INVALID_BASE_IMAGE_MANIFEST',
      {
        cause,
        hint: 'Artifacts are fetched over https:, or from the origin of the manifest.',
      },
    );
  }
}

function factsOf(locator: string, manifest: HostedManifest, source: BaseImageSource): ImageFacts {
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
    trust: everyDigest ? 'published' : 'first-use',
  };
}

function isUrl(locator: string): boolean {
  return /^https?:/i.test(locator);
}

/** Without the fields that are not there. */
function defined<T extends Readonly<Record<string, string | undefined>>>(
  fields: T,
): { readonly [Name in keyof T]?: string } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [Name in keyof T]?: string;
  };
}
