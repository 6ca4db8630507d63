import type { Bundle } from '../image.ts';

/** One bundle and what became of it. */
export interface PruneEntry {
  readonly bundleId: string;
  readonly bundleDir: string;
  /** Size of its files; content that another bundle shares is counted in both. */
  readonly bytes: number;
  readonly reason: string;
}

/** What pruning removed (most recently used first), what stays, and what should have gone but could not. */
export interface PruneReport {
  readonly removed: readonly PruneEntry[];
  readonly kept: readonly PruneEntry[];
  readonly skipped: readonly PruneEntry[];
}

export interface PruneOptions {
  /** How many bundles may stay. */
  readonly limit: number;
  /** How many bytes their contents may have. Default: any number. */
  readonly maxBytes?: number;
  /** Bundles with this id are kept before all others and count towards the limit. */
  readonly keepBundleId?: string;
  /** The same for one directory. */
  readonly keepBundleDir?: string;
  /** Bundles that stay and do not count, and why in a word. */
  readonly exempt?: { readonly isExempt: (bundle: Bundle) => boolean; readonly reason: string };
  /** List what stays. Default true; false costs next to nothing when nothing has to go. */
  readonly reportKept?: boolean;
  /** Say what would go, and touch nothing. */
  readonly dryRun?: boolean;
}
