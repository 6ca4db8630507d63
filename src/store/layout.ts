import { join } from 'node:path';

/** A file that is being fetched, and the journal of it. */
export interface PartialPaths {
  readonly part: string;
  readonly journal: string;
}

/**
 * The folders of a cache. The version is in the name: another layout gets another folder and leaves this one alone.
 *
 * ```
 * <cache>/v1/                     0700, ours, a real directory below safe ancestors
 *   CACHEDIR.TAG  owner.json      our marker; without it nothing here is written or removed
 *   bundles/<bundleId>-<key>/     key: 16 hex digits over everything that is handed out and what its content must be
 *     manifest.json               the record: written once, 0444
 *     <kernel> <rootfs> [<initrd>]  0444, hard links into blobs/
 *   blobs/sha256/<64 hex>         each content once; its link count is its reference count
 *   stamps/<64 hex>.json          size, inode, mtime and ctime of a blob when it was last hashed
 *   used/<bundle dir name>        empty; its mtime is when the bundle was last handed out
 *   used/<bundle dir name>.evicted  empty; its mtime is when the bundle had to make room; gone after a day
 *   receipts/<bundle dir name>/   one file for each kind of machine that booted the bundle
 *   remembered/<16 hex>.json      what a reference last resolved to
 *   remembered/<64 hex>.json      what an artifact turned out to be whose digest nobody publishes
 *   locks/                        never deleted
 *   staging/<bundle dir name>.<24 hex>/  a bundle in the making; swept under the lock of its key
 *   staging/<64 hex>.part         a file that is being fetched, or was cut; belongs to whoever holds the lock of its content
 *   staging/<64 hex>.part.journal  what its source said of it, and digests of its beginning
 *   quarantine/                   damaged bundles, moved aside
 *   swept                         empty; its mtime is when all was last looked through for leftovers
 * ```
 */
export class Layout {
  readonly root: string;

  constructor(cacheDir: string) {
    this.root = join(cacheDir, 'v1');
  }

  get owner(): string {
    return join(this.root, 'owner.json');
  }
  get bundles(): string {
    return join(this.root, 'bundles');
  }
  get blobs(): string {
    return join(this.root, 'blobs', 'sha256');
  }
  get stamps(): string {
    return join(this.root, 'stamps');
  }
  get used(): string {
    return join(this.root, 'used');
  }
  get receipts(): string {
    return join(this.root, 'receipts');
  }
  get remembered(): string {
    return join(this.root, 'remembered');
  }
  get locks(): string {
    return join(this.root, 'locks');
  }
  get staging(): string {
    return join(this.root, 'staging');
  }
  get quarantine(): string {
    return join(this.root, 'quarantine');
  }

  get swept(): string {
    return join(this.root, 'swept');
  }

  /** Where a content is fetched to; its key is 64 hex digits. */
  partial(key: string): PartialPaths {
    const part = join(this.staging, `${key}.part`);
    return { part, journal: `${part}.journal` };
  }

  /** Whoever fetches or removes a partial file of this content holds this lock. */
  contentLock(key: string): string {
    return join(this.locks, `content-${key}.lock`);
  }

  /** Every folder that a new cache is given. */
  get folders(): readonly string[] {
    const { bundles, blobs, stamps, used, receipts, remembered, locks, staging, quarantine } = this;
    return [bundles, blobs, stamps, used, receipts, remembered, locks, staging, quarantine];
  }
}
