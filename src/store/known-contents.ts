import { createHash } from 'node:crypto';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Artifact } from '../image.ts';
import { bestEffort, readText, statOf, unlessMissing, writeWhole } from './files.ts';
import type { Layout } from './layout.ts';
import { filesOf, readRecord } from './record.ts';

/**
 * 64 hex digits that name the content of an artifact before anybody has it: its digest where one was published, else that of what
 * its source calls it.
 */
export function contentKey({ sha256, identity }: Artifact): string {
  return sha256?.toLowerCase() ?? createHash('sha256').update(identity).digest('hex');
}

const FORGOTTEN_AFTER_MS = 60 * 60_000;

/** What contents turned out to be whose digest nobody publishes, by what their source calls them. */
export class KnownContents {
  readonly #layout: Layout;

  constructor(layout: Layout) {
    this.#layout = layout;
  }

  /** The digests that the bundles here recorded, by identity; nothing is read when all of these artifacts have one. */
  async recordedFor(artifacts: readonly Artifact[]): Promise<ReadonlyMap<string, string>> {
    const known = new Map<string, string>();
    if (artifacts.every(({ sha256 }) => sha256 !== undefined)) return known;
    for (const name of (await unlessMissing(() => readdir(this.#layout.bundles))) ?? []) {
      const record = await readRecord(join(this.#layout.bundles, name));
      if (record === undefined || record === 'damaged') continue;
      for (const [, { identity, sha256 }] of filesOf(record)) known.set(identity, sha256);
    }
    return known;
  }

  /** The digest of what was fetched last under this identity, in a bundle that may not be whole yet. */
  async remembered({ identity }: Artifact): Promise<string | undefined> {
    const known = await read(this.#pathOf(identity));
    return known?.identity === identity ? known.sha256 : undefined;
  }

  /** Remembers it, where the cache can be written. */
  async remember({ identity }: Artifact, sha256: string): Promise<void> {
    await bestEffort(() => writeWhole(this.#pathOf(identity), `${JSON.stringify({ identity, sha256 })}\n`));
  }

  /** Forgets the entry of this name, unless its content is one of these. Somebody may be fetching it anew just now: a young one stays. */
  async forgetUnless(name: string, isHere: (sha256: string) => boolean): Promise<void> {
    const path = join(this.#layout.remembered, name);
    const known = await read(path);
    const stats = await statOf(path);
    if (stats === undefined || (known !== undefined && isHere(known.sha256))) return;
    if (Date.now() - Number(stats.mtimeMs) > FORGOTTEN_AFTER_MS) await rm(path, { force: true });
  }

  #pathOf(identity: string): string {
    return join(this.#layout.remembered, `${createHash('sha256').update(identity).digest('hex')}.json`);
  }
}

interface Known {
  readonly identity: string;
  readonly sha256: string;
}

async function read(path: string): Promise<Known | undefined> {
  try {
    const value: unknown = JSON.parse((await readText(path)) ?? 'null');
    if (typeof value !== 'object' || value === null) return undefined;
    const { identity, sha256 }: { identity?: unknown; sha256?: unknown } = value;
    const isSound = typeof identity === 'string' && typeof sha256 === 'string' && /^[0-9a-f]{64}$/.test(sha256);
    return isSound ? { identity, sha256 } : undefined;
  } catch {
    return undefined;
  }
}
