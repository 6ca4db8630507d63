import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { SmartVMError } from './errors.ts';
import type { Arch, BaseImagePreset, ImageReference, ImageSource, Logger, OnProgress, Trust } from './image.ts';
import { parseReference } from './reference.ts';
import type { TransferLimits } from './settings.ts';

/** What a manager is made with. Everything is optional, and everything given on a call beats it. */
export interface BaseImageManagerOptions {
  /** Architecture of calls that name none. Default `x86_64`. */
  readonly arch?: Arch | undefined;
  /** Root of the cache. Default `$SMARTVM_CACHE_DIR`, else `$XDG_CACHE_HOME/smartvm`, else `~/.cache/smartvm`. */
  readonly cacheDir?: string | undefined;
  /** How many bundles are kept, a positive integer. Default 2. Bundles in use neither count nor go. */
  readonly maxStoredBaseImages?: number | undefined;
  /** How many bytes the bundles may have together, what they share counted once. Default: any number. */
  readonly maxStoredBytes?: number | undefined;
  /** Manifest for calls that name no image. */
  readonly hostedManifestUrl?: string | undefined;
  /** The same as a local file; beats `hostedManifestUrl`. */
  readonly hostedManifestPath?: string | undefined;
  /** S3 bucket laid out like Firecracker's. Default `$SMARTVM_BUCKET_URL`, else Firecracker's own. */
  readonly bucketUrl?: string | undefined;
  /** Address that redirects to the newest Firecracker release. Default `$SMARTVM_RELEASES_URL`, else GitHub's. */
  readonly releasesUrl?: string | undefined;
  /** Origins that may be spoken to without TLS, for example `http://mirror.lan:8080`. Loopback always may. */
  readonly allowHttp?: readonly string[] | undefined;
  /** How long and how far a transfer may go; what is not named keeps its default. */
  readonly limits?: Partial<TransferLimits> | undefined;
  /**
   * Other places for the same bytes, in the order in which they are asked; digests decide, never the host. Each is an address that
   * has everything under `<host>/<path>`, or `<beginning>=<place>`; `direct` stands for the address itself, `off` ends the list.
   * Default `$SMARTVM_MIRRORS`, separated by commas or blanks.
   */
  readonly mirrors?: readonly string[] | undefined;
  /** How many connections the artifacts of one call may have at once, all together. Default: one for each. */
  readonly connections?: number | undefined;
  /** All transfers of one call together are no faster than this. Default: as fast as it goes. */
  readonly bytesPerSecond?: number | undefined;
  /** Header fields for one origin each (`https://images.example`, or a host for its https), sent to nobody else. */
  readonly headers?: Readonly<Record<string, Readonly<Record<string, string>>>> | undefined;
  /** `'always'`: hash every file on every call, and read back what was just written. Default: when its stamp has changed or is old. */
  readonly verify?: 'always' | undefined;
  /** Sources of your own; one of them with the scheme of a built-in source takes its place. */
  readonly sources?: readonly ImageSource[] | undefined;
  /** Answer from the cache alone; `BASE_IMAGE_NOT_CACHED` when it cannot. Default false. */
  readonly offline?: boolean | undefined;
  /** Answer from the cache when it has an answer, however old; else ask. Default false. */
  readonly preferOffline?: boolean | undefined;
  /** Answer from the cache when the answer is no older than this; else ask. Default: ask on every call. */
  readonly maxAgeMs?: number | undefined;
  /** When nobody can be asked, answer from the cache, with a warning. Default false: the error. */
  readonly staleIfError?: boolean | undefined;
  /** Refuse what is trusted less: `BASE_IMAGE_BELOW_TRUST`. Default: take all. */
  readonly minimumTrust?: Trust | undefined;
  /** The Firecracker release that images are for, like `v1.15.1`. Default: the one on PATH, else the newest. */
  readonly firecrackerVersion?: string | undefined;
  /** A lock file: what it names is pinned by its digests. Default: none; the command line looks for `smartvm.lock`. */
  readonly lockFile?: string | undefined;
  /** Take only what the lock file names: `BASE_IMAGE_LOCK_MISMATCH` for anything else. Default false. */
  readonly frozen?: boolean | undefined;
  /** Ends every call of this manager. */
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: OnProgress | undefined;
  /** Where warnings go. Default: nowhere. */
  readonly logger?: Logger | undefined;
}

/** What one call asks for. */
export interface EnsureBaseImageOptions {
  /** The image as it would be typed on the command line: `latest`, `v1.15`, `debian`, `./m.json`, `https://…`. */
  readonly reference?: string | undefined;
  /** `latest`, `stable`, `lts`, `hosted` or `debian`. Default `latest`, or the manager's manifest when it has one. */
  readonly preset?: BaseImagePreset | undefined;
  readonly arch?: Arch | undefined;
  /** Fetch or build again even when the cache has it; the old bundle stays until the new one is whole. */
  readonly forceDownload?: boolean | undefined;
  readonly manifestUrl?: string | undefined;
  /** Beats `manifestUrl`. */
  readonly manifestPath?: string | undefined;
  /** A kernel of the set: a series (`6.1`), a version (`6.1.155`), or a flavour of one (`5.10-no-acpi`). */
  readonly kernel?: string | undefined;
  /** A root file system of the set: a family (`amazonlinux-2023`) or a file (`ubuntu-24.04.squashfs`). */
  readonly rootfs?: string | undefined;
  /** What the kernel must have built in: `overlayfs`, `nf_tables`, `CONFIG_VSOCKETS`. */
  readonly require?: readonly string[] | undefined;
  readonly firecrackerVersion?: string | undefined;
  readonly minimumTrust?: Trust | undefined;
  readonly verify?: 'always' | undefined;
  readonly frozen?: boolean | undefined;
  readonly offline?: boolean | undefined;
  readonly preferOffline?: boolean | undefined;
  readonly maxAgeMs?: number | undefined;
  readonly staleIfError?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

const DEFAULT_MAX_STORED_BASE_IMAGES = 2;
const ARCHES: readonly string[] = ['x86_64', 'aarch64'] satisfies Arch[];

/**
 * The cache root a manager uses, made absolute once.
 * An empty string means the default, as for every option that names a place.
 */
export function cacheDirFrom(options: BaseImageManagerOptions, env: NodeJS.ProcessEnv): string {
  const given = options.cacheDir || env['SMARTVM_CACHE_DIR'];
  if (given) return resolve(given);
  const xdg = env['XDG_CACHE_HOME'];
  return xdg && isAbsolute(xdg) ? join(xdg, 'smartvm') : join(homedir(), '.cache', 'smartvm');
}

/**
 * The number of bundles to keep.
 *
 * @throws SmartVMError `INVALID_BASE_IMAGE_CACHE_LIMIT` unless it is a positive integer, or absent.
 */
export function cacheLimitFrom(options: BaseImageManagerOptions): number {
  return limitFrom(
    'maxStoredBaseImages',
    options.maxStoredBaseImages ?? DEFAULT_MAX_STORED_BASE_IMAGES,
    `Leave it out to keep ${DEFAULT_MAX_STORED_BASE_IMAGES} bundles.`,
  );
}

/**
 * The number of bytes that may be kept, if there is a limit.
 *
 * @throws SmartVMError `INVALID_BASE_IMAGE_CACHE_LIMIT` unless it is a positive integer, or absent.
 */
export function cacheBytesFrom({ maxStoredBytes }: BaseImageManagerOptions): number | undefined {
  const limit: unknown = maxStoredBytes ?? undefined;
  return limit === undefined
    ? undefined
    : limitFrom('maxStoredBytes', limit, 'Leave it out to limit the number of bundles alone.');
}

function limitFrom(option: string, limit: unknown, hint: string): number {
  if (typeof limit === 'number' && Number.isSafeInteger(limit) && limit > 0) return limit;
  const got = typeof limit === 'string' ? JSON.stringify(limit) : String(limit);
  throw new SmartVMError(`${option} must be a positive integer, got ${got}`, 'INVALID_BASE_IMAGE_CACHE_LIMIT', {
    hint,
  });
}

/**
 * Which image a call asks for. What is given on the call beats what the manager has; within one level a path beats an
 * URL beats a preset.
 *
 * @throws SmartVMError `INVALID_BASE_IMAGE_OPTIONS` for an unknown preset or options that contradict each other,
 *   `BASE_IMAGE_MANIFEST_FAILED` for `hosted` without a manifest, `INVALID_BASE_IMAGE_REFERENCE` for an unreadable reference.
 */
export function referenceFrom(call: EnsureBaseImageOptions, manager: BaseImageManagerOptions): ImageReference {
  const asked = call.manifestPath || call.manifestUrl;
  const manifest = `${call.manifestPath ? 'manifestPath' : 'manifestUrl'} ${JSON.stringify(asked)}`;
  const { preset } = call;
  if (call.reference) {
    const other = asked ? manifest : preset ? `preset ${JSON.stringify(preset)}` : undefined;
    if (other !== undefined) throw contradiction(`reference ${JSON.stringify(call.reference)}`, other);
    return readReference(call.reference);
  }
  if (asked) {
    if (preset && preset !== 'hosted') throw contradiction(`preset ${JSON.stringify(preset)}`, manifest);
    return manifestReference(call.manifestPath, call.manifestUrl);
  }
  const own = manager.hostedManifestPath || manager.hostedManifestUrl;
  if (own && (!preset || preset === 'hosted')) {
    return manifestReference(manager.hostedManifestPath, manager.hostedManifestUrl);
  }
  return presetReference(preset || 'latest');
}

/**
 * Reads a reference as it is typed, a manifest's path made absolute.
 *
 * @throws SmartVMError `INVALID_BASE_IMAGE_REFERENCE`.
 */
export function readReference(text: string): ImageReference {
  const { scheme, locator } = parseReference(text);
  const isPath = scheme === 'hosted-manifest' && !/^https?:/i.test(locator);
  return { scheme, locator: isPath ? resolve(locator) : locator };
}

/**
 * The architecture a call asks for.
 *
 * @throws SmartVMError `INVALID_BASE_IMAGE_OPTIONS` for an unknown one.
 */
export function archFrom(call: { readonly arch?: Arch | undefined }, manager: BaseImageManagerOptions): Arch {
  const arch = call.arch || manager.arch || 'x86_64';
  if (ARCHES.includes(arch)) return arch;
  throw new SmartVMError(
    `arch must be one of ${ARCHES.join(', ')}, got ${JSON.stringify(arch)}`,
    'INVALID_BASE_IMAGE_OPTIONS',
  );
}

function manifestReference(path: string | undefined, url: string | undefined): ImageReference {
  return { scheme: 'hosted-manifest', locator: path ? resolve(path) : (url ?? '') };
}

function presetReference(preset: BaseImagePreset): ImageReference {
  switch (preset) {
    case 'latest':
    case 'stable':
    case 'lts':
      return { scheme: 'firecracker-ci', locator: preset };
    case 'debian':
      return { scheme: 'debian', locator: '' };
    case 'hosted':
      throw new SmartVMError(
        'Failed to choose an image: preset "hosted" needs a manifest, and none was given',
        'BASE_IMAGE_MANIFEST_FAILED',
        { hint: 'Give manifestUrl or manifestPath, on the call or on the manager.' },
      );
    default:
      throw new SmartVMError(
        `preset must be one of latest, stable, lts, hosted, debian, got ${JSON.stringify(preset)}`,
        'INVALID_BASE_IMAGE_OPTIONS',
        { hint: 'Ask for a set of the bucket, or for a source of your own, with `reference`.' },
      );
  }
}

function contradiction(one: string, other: string): SmartVMError {
  return new SmartVMError(
    `Failed to choose an image: both ${one} and ${other} were given`,
    'INVALID_BASE_IMAGE_OPTIONS',
    {
      hint: 'Give one of them.',
    },
  );
}
