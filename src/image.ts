/** Architectures a bundle can be for, in the words of the kernel and of Firecracker. */
export type Arch = 'x86_64' | 'aarch64';

/** File systems a root image can hold. */
export type RootfsType = 'ext4' | 'squashfs';

/**
 * What a bundle was asked for as. `latest`, `stable` and `lts` are sets of Firecracker's CI bucket, `hosted` comes from a manifest,
 * `ci` is a set of the bucket that was named (`v1.15`, `20260923-6f82ac4cf331-0`), `debian` is built here, `custom` comes
 * from a source the caller brought along.
 */
export type BaseImagePreset = 'latest' | 'stable' | 'lts' | 'hosted' | 'ci' | 'debian' | 'custom';

export type ArtifactRole = 'kernel' | 'initrd' | 'rootfs';

/**
 * Where the belief in the digests comes from, strongest first: `pinned` by the caller, `signed`, `published` in a manifest
 * that came over TLS or from this disk, `first-use` when there was nothing to compare with.
 */
export type Trust = 'pinned' | 'signed' | 'published' | 'first-use';

/** Where warnings and notes go. The library never prints. */
export interface Logger {
  warn(message: string): void;
  info(message: string): void;
}

export type ProgressEvent =
  /** A reference is being resolved. */
  | { readonly phase: 'resolve'; readonly reference: string }
  /** Words about a step that has no byte count: a build, a wait for another process. */
  | { readonly phase: 'step'; readonly message: string }
  /**
   * Bytes of one artifact have been written and hashed. `bytes` counts up and goes back when an artifact has to begin again;
   * `totalBytes` is absent when nobody said.
   */
  | {
      readonly phase: 'fetch';
      readonly role: ArtifactRole;
      readonly fileName: string;
      readonly bytes: number;
      readonly totalBytes?: number;
      /** Over the last seconds. */
      readonly bytesPerSecond?: number;
      /** How many of `bytes` were here from an earlier attempt. */
      readonly resumedBytes?: number;
      /** Where they come from, for people: a host. */
      readonly source?: string;
    }
  /** Something that may pass stands in the way of a transfer, which is tried again after a pause. */
  | {
      readonly phase: 'retry';
      /** Absent where no artifact is fetched: for a listing, a manifest, a release. */
      readonly role?: ArtifactRole;
      readonly fileName?: string;
      /** The host that failed. */
      readonly source: string;
      /** What happened, in words. */
      readonly message: string;
      /** The try that comes next, counted from 1; the first was 1. */
      readonly attempt: number;
      /** How many there are at most without getting any further. */
      readonly maxAttempts: number;
      readonly pauseMs: number;
    };

export type OnProgress = (event: ProgressEvent) => void;

/** What every operation that takes time is given: how to stop it and where its words go. */
export interface Context {
  readonly signal?: AbortSignal | undefined;
  readonly logger: Logger;
  readonly onProgress: OnProgress;
}

/** How an image is asked for: the scheme picks the source, the locator is that source's business. */
export interface ImageReference {
  /** Name of the source: `firecracker-ci`, `hosted-manifest`, `debian`, … */
  readonly scheme: string;
  readonly locator: string;
}

/** A half-open range of bytes, `end` absent for "to the end". */
export interface ByteRange {
  readonly start: number;
  readonly end?: number;
  /**
   * What an earlier stream said of itself (`ArtifactStream.validator`): the rest of those bytes is wanted. Where that cannot be
   * had the stream begins at 0, and says so with its `start`.
   */
  readonly validator?: string;
}

/** The bytes of an artifact, on their way. A chunk that was given belongs to the reader: it is not written to again. */
export interface ArtifactStream extends AsyncIterable<Uint8Array> {
  /** Position of the first byte. Absent: what was asked for. */
  readonly start?: number;
  /** Stands for exactly these bytes; handed to a later `open`, in any process, to go on. Absent: they cannot be continued. */
  readonly validator?: string | undefined;
  /** Where the bytes come from now, for people: a host. */
  readonly source?: string;
  /**
   * Says that the bytes were not what they must be. True when somebody else is said to have them too: the next `open` asks there,
   * from the beginning. Absent, or false: that is final.
   */
  disown?(why: string): boolean;
}

/** How the bytes of an artifact lie where they are fetched from. */
export interface CompressedForm {
  readonly format: 'zstd' | 'gzip' | 'xz';
  /** Of the compressed file, lower-case hex; absent when nobody published one. */
  readonly sha256?: string;
  /** Exact size of the compressed file; absent when nobody said. */
  readonly bytes?: number;
}

/** One file of an image, not on this disk yet: what its bytes must be, and how to begin reading them. */
export interface Artifact {
  /** A plain name, safe as a file name inside the bundle. */
  readonly fileName: string;
  /**
   * Names the content when no digest does: two artifacts with one identity hold the same bytes (an URL with its ETag and
   * size, a package set, a local file with its size and time).
   */
  readonly identity: string;
  /** Lower-case hex; absent when nobody published one. */
  readonly sha256?: string;
  /** Exact size; absent when nobody said. */
  readonly bytes?: number;
  /** Where it lies, for people and for lock files; absent for what is made here. */
  readonly url?: string;
  /** With its quotes, as the server gave it. */
  readonly etag?: string;
  /** When it was last changed there, ISO 8601. */
  readonly modifiedAt?: string;
  /** How it lies there, where that is not as it is stored: `open` gives the plain bytes, and all else here is said of them. */
  readonly compressed?: CompressedForm;
  /** Begins reading. The stream is to be read to its end or destroyed. Never writes a file of the cache. */
  open(context: Context, range?: ByteRange): Promise<ArtifactStream>;
}

export interface Artifacts {
  readonly kernel: Artifact;
  readonly rootfs: Artifact;
  readonly initrd?: Artifact;
}

/** Where a bundle came from, as it is recorded in it. */
export type BaseImageSource =
  | {
      readonly type: 'firecracker-ci';
      readonly bucketUrl: string;
      /** The folder of the set, with its trailing slash. */
      readonly prefix: string;
      readonly kernelKey: string;
      readonly rootfsKey: string;
    }
  | {
      readonly type: 'hosted-manifest';
      readonly manifestUrl?: string;
      readonly manifestPath?: string;
      readonly kernelUrl?: string;
      readonly rootfsUrl?: string;
      readonly initrdUrl?: string;
      readonly kernelSourcePath?: string;
      readonly rootfsSourcePath?: string;
      readonly initrdSourcePath?: string;
    }
  | {
      readonly type: 'debian';
      readonly suite: string;
      /** `name=version` of every package in kernel, initrd and root file system, sorted. */
      readonly packages: readonly string[];
    }
  | { readonly type: 'custom'; readonly scheme: string; readonly locator: string };

/** What is known of an image whether or not it is on this disk. */
export interface ImageFacts {
  /** The reference as text, as it would be typed. */
  readonly reference: string;
  readonly preset: BaseImagePreset;
  readonly bundleId: string;
  readonly arch: Arch;
  /** Folder name of a CI set (`v1.15`, `20260923-6f82ac4cf331-0`); `hosted`, `debian` or `custom` for other sources. */
  readonly ciVersion: string;
  /** The Firecracker release the image is meant for, `vX.Y.Z`. */
  readonly firecrackerVersion: string;
  readonly rootfsType: RootfsType;
  readonly rootfsIsReadOnly: boolean;
  /** Kernel arguments as Firecracker without PCI takes them; what another machine needs is added in `vmm/`. */
  readonly bootArgs: string;
  readonly source: BaseImageSource;
  readonly trust: Trust;
}

/** A text beside an image that says what is in it. */
export interface Companion {
  readonly url: string;
  /** Reads it whole. Rejects with a `TRANSFER_…` code. */
  read(context: Context): Promise<string>;
}

/** An image that was found and not downloaded. */
export interface ResolvedImage {
  readonly facts: ImageFacts;
  readonly artifacts: Artifacts;
  /** How it came to be this one, step by step, in words. */
  readonly why?: readonly string[];
  /** What its bytes are held against, in words: recorded in the bundle beside its trust. May grow while they are read. */
  readonly observations?: readonly string[];
  /** The configuration of the kernel, and the packages of the root file system, where the source publishes them. */
  readonly companions?: { readonly kernelConfig?: Companion; readonly packageList?: Companion };
}

export interface BundleChecksums {
  readonly kernelSha256: string;
  readonly rootfsSha256: string;
  readonly initrdSha256?: string;
}

export interface BundleSizes {
  readonly kernelBytes: number;
  readonly rootfsBytes: number;
  readonly initrdBytes?: number;
}

/** A kernel and a root file system on this disk, verified, immutable (every file is 0444), with what is needed to boot them. */
export interface Bundle extends ImageFacts {
  /** Absolute, like every path here. */
  readonly bundleDir: string;
  readonly kernelImagePath: string;
  readonly rootfsPath: string;
  readonly initrdPath?: string;
  /** Lower-case hex SHA-256 of the stored files. */
  readonly checksums: BundleChecksums;
  readonly sizes: BundleSizes;
  /** ISO 8601. */
  readonly createdAt: string;
  /** What the bytes were held against when they came, in words. */
  readonly observations?: readonly string[];
  /** ISO 8601; equal to `createdAt` until the bundle is handed out again. Best effort on a read-only cache. */
  readonly lastAccessedAt: string;
}

/** What a caller may choose within a reference, where the source has a choice. */
export interface Selection {
  /** A series (`6.1`), a version (`6.1.155`), or one of these with a flavour (`5.10-no-acpi`). */
  readonly kernel?: string;
  /** A family (`ubuntu`, `amazonlinux-2023`) or a whole name (`ubuntu-24.04.squashfs`). */
  readonly rootfs?: string;
  /** What the kernel must have built in: `overlayfs`, `nf_tables`, `CONFIG_VSOCKETS`. */
  readonly require?: readonly string[];
}

/** An artifact whose bytes are known from before: from a lock file. */
export interface PinnedArtifact {
  readonly fileName: string;
  readonly url: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly etag?: string;
  readonly modifiedAt?: string;
  readonly compressed?: CompressedForm;
}

export interface PinnedArtifacts {
  readonly kernel: PinnedArtifact;
  readonly rootfs: PinnedArtifact;
  readonly initrd?: PinnedArtifact;
}

/** The Firecracker release an image is to run on, and who said so. */
export interface TargetVmm {
  /** `vX.Y.Z`. */
  readonly version: string;
  readonly why: string;
}

export interface ResolveRequest extends Context {
  readonly arch: Arch;
  readonly selection?: Selection;
  /** Absent: the newest release there is. */
  readonly target?: TargetVmm;
}

/** What a source gives for artifacts that it found before. */
export type Reopened = Pick<ResolvedImage, 'artifacts' | 'companions'>;

/** A place images come from. Adding one is adding a file to `sources/`, or handing an object to `BaseImageManager`. */
export interface ImageSource {
  /** The word before the colon in a reference. */
  readonly scheme: string;
  /**
   * False for a source whose images are built here: once built, the remembered answer is given until a fetch is forced.
   * True for all others: their references are looked up on every call.
   */
  readonly asksEveryTime: boolean;
  /** True when this locator always means the same files: once fetched, it is not looked up again. Absent: never. */
  isFixed?(locator: string): boolean;
  /**
   * The same files again, by where they were found, without looking anything up; nothing is asked before they are opened.
   * Absent: a locked image is resolved anew and held against the lock file.
   */
  reopen?(pinned: PinnedArtifacts): Reopened | Promise<Reopened>;
  /**
   * The last answer that this release was shipped with, for when nobody can be asked and the caller allows stale answers.
   * Absent, or `undefined` for this locator: there is none.
   */
  knownGood?(locator: string, request: ResolveRequest): ResolvedImage | undefined | Promise<ResolvedImage | undefined>;
  /** What a caller may choose within its references. Absent: nothing. */
  readonly selects?: readonly (keyof Selection)[];
  /** True when this locator is resolved without the network, so that an offline call may do it. Absent: never. */
  resolvesOffline?(locator: string): boolean;
  /** Finds the image: network, no disk. Rejects with a `SmartVMError`. */
  resolve(locator: string, request: ResolveRequest): Promise<ResolvedImage>;
}

/** The kernel arguments of a bundle that names none (Firecracker's getting-started guide, v1.7 to v1.12). */
export function bootArgsFor(arch: Arch, rootfsType: RootfsType, rootfsIsReadOnly: boolean): string {
  const console = arch === 'aarch64' ? 'keep_bootcon console=ttyS0' : 'console=ttyS0';
  const root = rootfsType === 'squashfs' ? ' ro rootfstype=squashfs' : rootfsIsReadOnly ? ' ro' : '';
  return `${console} reboot=k panic=1 pci=off${root}`;
}

/** How many bytes come over the network, or from wherever else, for an artifact; `undefined` when nobody said. */
export function transferBytes({ bytes, compressed }: Artifact): number | undefined {
  return compressed === undefined ? bytes : compressed.bytes;
}

/** True for a name an artifact may have: letters, digits, `.`, `_`, `-`, at most 128 of them, not `.` and not `..`. */
export function isPlainName(name: string): boolean {
  return /^[A-Za-z0-9._-]{1,128}$/.test(name) && name !== '.' && name !== '..';
}

/** True for a name that a bundle may have: a plain name without a leading dot. */
export function isBundleId(name: string): boolean {
  return isPlainName(name) && !name.startsWith('.');
}

/** The last segment of the path of an URL, a key or a file; may be empty. Escapes are not decoded. */
export function lastSegment(location: string): string {
  const path = URL.canParse(location) ? new URL(location).pathname : location;
  return path.slice(path.lastIndexOf('/') + 1);
}

/** Any text as a plain name: foreign characters become `_`, what leaves nothing usable becomes `artifact`. */
export function toPlainName(text: string): string {
  const plain = text.replace(/[^A-Za-z0-9._-]/g, '_');
  return isPlainName(plain) ? plain : 'artifact';
}

/** The architecture of this machine, or `undefined` where no microVM runs. */
export function hostArch(): Arch | undefined {
  if (process.arch === 'x64') return 'x86_64';
  return process.arch === 'arm64' ? 'aarch64' : undefined;
}
