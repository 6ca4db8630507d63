import type { Arch, BaseImagePreset, BaseImageSource, RootfsType, Trust } from '../image.ts';

/** One file of a locked image. */
export interface LockedArtifact {
  fileName: string;
  /** Where it was fetched from; absent for what is made on a machine. */
  url?: string | undefined;
  bytes: number;
  sha256: string;
  etag?: string | undefined;
  modifiedAt?: string | undefined;
  /** How it lies at `url`, where that is not as it is stored: the digest and the size of that file. */
  compressed?: { format: 'zstd' | 'gzip' | 'xz'; sha256: string; bytes?: number | undefined } | undefined;
}

export interface LockedImage {
  preset: BaseImagePreset;
  bundleId: string;
  ciVersion: string;
  firecrackerVersion: string;
  rootfsType: RootfsType;
  rootfsIsReadOnly: boolean;
  bootArgs: string;
  source: { type: BaseImageSource['type']; [field: string]: unknown };
  trust: Trust;
  artifacts: { kernel: LockedArtifact; rootfs: LockedArtifact; initrd?: LockedArtifact | undefined };
}

/** `smartvm.lock`, version 1: by reference, then by architecture. */
export interface LockFile {
  lockVersion: 1;
  images: Record<string, { [Name in Arch]?: LockedImage | undefined }>;
}
