import type { BigIntStats } from 'node:fs';
import { join } from 'node:path';
import { bestEffort, readText, writeWhole } from './files.ts';

/** What a file looked like when its bytes were last hashed. Whoever changes the file cannot keep its ctime. */
export interface Stamp {
  readonly size: string;
  readonly ino: string;
  readonly mtimeNs: string;
  readonly ctimeNs: string;
  /** When all bytes were last hashed, ISO 8601. */
  readonly verifiedAt: string;
}

/** The stamp of a file that was hashed at `verifiedAt` and has these stats since. */
export function stampOf(stats: BigIntStats, verifiedAt: Date | string): Stamp {
  return {
    size: String(stats.size),
    ino: String(stats.ino),
    mtimeNs: String(stats.mtimeNs),
    ctimeNs: String(stats.ctimeNs),
    verifiedAt: typeof verifiedAt === 'string' ? verifiedAt : verifiedAt.toISOString(),
  };
}

/** True when the file is as it was when it was hashed, and that is not longer ago than `scrubAfterMs` nor in the future. */
export function holds(stamp: Stamp | undefined, stats: BigIntStats, scrubAfterMs: number, now = Date.now()): boolean {
  if (stamp === undefined) return false;
  const ageMs = now - Date.parse(stamp.verifiedAt);
  if (!(ageMs >= -1000 && ageMs <= scrubAfterMs)) return false;
  const seen = stampOf(stats, stamp.verifiedAt);
  return (['size', 'ino', 'mtimeNs', 'ctimeNs'] as const).every((field) => seen[field] === stamp[field]);
}

/** The stamp of a content, or `undefined` when there is none that can be read: then the content is hashed again. */
export async function readStamp(stampsDir: string, sha256: string): Promise<Stamp | undefined> {
  try {
    const text = await readText(join(stampsDir, `${sha256}.json`));
    if (text === undefined) return undefined;
    const value: unknown = JSON.parse(text);
    return isStamp(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Records a stamp, where the cache can be written; without it the next hit hashes again. */
export async function writeStamp(stampsDir: string, sha256: string, stamp: Stamp): Promise<void> {
  await bestEffort(() => writeWhole(join(stampsDir, `${sha256}.json`), `${JSON.stringify(stamp)}\n`));
}

function isStamp(value: unknown): value is Stamp {
  if (typeof value !== 'object' || value === null) return false;
  const fields: Record<string, unknown> = { ...value };
  return ['size', 'ino', 'mtimeNs', 'ctimeNs', 'verifiedAt'].every((name) => typeof fields[name] === 'string');
}
