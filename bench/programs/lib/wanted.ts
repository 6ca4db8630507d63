/** A file that is to be fetched into the working folder. */
export interface Wanted {
  readonly url: string;
  readonly fileName: string;
  readonly sha256: string;
}

/** How it is to be fetched. */
export interface FloorOptions {
  readonly files: readonly Wanted[];
  /** Path of the certificate to trust. */
  readonly certPath?: string;
  /** False: every write is waited for on the spot. True: one is under way while the next bytes arrive. */
  readonly writesBehind?: boolean;
  /** Whether the files are synced to the disk in the end. */
  readonly syncs?: boolean;
}

/** @throws Error when the bytes were not the right ones. */
export function requireDigest({ fileName, sha256 }: Wanted, got: string): void {
  if (got !== sha256) throw new Error(`${fileName} has SHA-256 ${got} instead of ${sha256}`);
}
