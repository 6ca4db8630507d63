import { readdir } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { Artifact } from '../image.ts';
import { bestEffort, readText, unlessMissing, writeWhole } from './files.ts';
import type { Layout } from './layout.ts';
import { filesOf, readRecord } from './record.ts';

/**
 * 64 hex digits that name the content of an artifact before anybody has it: its digest where one was published, else that of what
 * its source calls it.
 */
export function contentKey({ sha256, identity }: Artifact): string {
  return sha256?.toLowerCase() ?? createHash('sha256').update(identity).digest('hex');
}

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
    try {
      const value: unknown = JSON.parse((await readText(this.#pathOf(identity))) ?? 'null');
      if (typeof value !== 'object' || value === null) return undefined;
      const { identity: of, sha256 }: { identity?: unknown; sha256?: unknown } = value;
      return of === identity && typeof sha256 === 'string' && /^[0-9a-f]{64}$/.test(sha256) ? sha256 : undefined;
    } catch {
      return undefined;
    }
  }

  /** Remembers it, where the cache can be written. */
  async remember({ identity }: Artifact, sha256: string): Promise<void> {
    await bestEffort(() => writeWhole(this.#pathOf(identity), `${JSON.stringify({ identity, sha256 })}\n`));
  }

  #pathOf(identity: string): string {
    return join(this.#layout.remembered, `${createHash('sha256').update(identity).digest('hex')}.json`);
  }
}
