import type { Arch, RootfsType } from '../../image.ts';

/** How a file lies where it is fetched from, when it is to be unpacked. */
export interface CompressedManifest {
  format: 'zstd' | 'gzip' | 'xz';
  /** SHA-256 of the file as it lies there; needed with `url`. */
  sha256?: string | undefined;
  /** Exact size of the file as it lies there. */
  sizeBytes?: number | undefined;
}

/** One file of a manifest as it is written: where it is, by `url` or `path`, and what it must be. */
export interface ArtifactManifest {
  /** A whole https: address; needs `sha256`. */
  url?: string | undefined;
  /** A file on this disk, relative to the folder of the manifest; only in a manifest that is on this disk too. */
  path?: string | undefined;
  /** Name of the file in the bundle. Default: the last part of `url` or `path`, without `.zst`, `.gz` or `.xz` when it is compressed. */
  fileName?: string | undefined;
  /** Of the file as it is stored. */
  sha256?: string | undefined;
  /** Exact size of the file as it is stored; needed with `compressed`, where no more than this is unpacked. */
  sizeBytes?: number | undefined;
  /** Absent: the file is stored as it lies there. */
  compressed?: CompressedManifest | undefined;
}

/** A manifest as it is written; `schema/hosted-manifest.schema.json` has the rules. */
export interface HostedManifest {
  schemaVersion: 1;
  bundleId: string;
  /** For people; never read. */
  name?: string | undefined;
  arch: Arch;
  /** The Firecracker release the image is meant for, like `v1.15.1`. */
  firecrackerVersion: string;
  rootfsType: RootfsType;
  /** Default: true exactly for squashfs, where it cannot be false. */
  rootfsIsReadOnly?: boolean | undefined;
  /** Kernel arguments. Default: built from arch, rootfsType and rootfsIsReadOnly. */
  bootArgs?: string | undefined;
  kernel: ArtifactManifest;
  rootfs: ArtifactManifest;
  initrd?: ArtifactManifest | undefined;
}
