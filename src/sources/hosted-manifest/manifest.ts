import type { Arch, RootfsType } from '../../image.ts';

/** One file of a manifest as it is written: where it is, by `url` or `path`, and what it must be. */
export interface ArtifactManifest {
  /** A whole https: address; needs `sha256`. */
  url?: string | undefined;
  /** A file on this disk, relative to the folder of the manifest; only in a manifest that is on this disk too. */
  path?: string | undefined;
  /** Name of the file in the bundle. Default: the last part of `url` or `path`. */
  fileName?: string | undefined;
  sha256?: string | undefined;
  /** Exact size. */
  sizeBytes?: number | undefined;
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
