import { createHash } from 'node:crypto';
import { utimes } from 'node:fs/promises';
import { join } from 'node:path';
import type { Arch } from '../image.ts';
import { isBundleDirName } from './bundle-key.ts';
import { bestEffort, readText, statOf, writeWhole } from './files.ts';

/** What a reference last resolved to, and when that was. */
export interface Remembered {
  readonly dirName: string;
  /** Milliseconds since 1970. */
  readonly atMs: number;
}

export async function readRemembered(folder: string, reference: string, arch: Arch): Promise<Remembered | undefined> {
  const path = pathOf(folder, reference, arch);
  const stats = await statOf(path);
  const text = await readText(path);
  if (text === undefined || stats === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null) return undefined;
    const { reference: ofReference, bundle }: { reference?: unknown; bundle?: unknown } = value;
    const isOurs = ofReference === reference && typeof bundle === 'string' && isBundleDirName(bundle);
    return isOurs ? { dirName: bundle, atMs: Number(stats.mtimeMs) } : undefined;
  } catch {
    return undefined;
  }
}

/** Remembers it, where the cache can be written. What is known already only gets a new time; what was known before is returned. */
export async function writeRemembered(
  folder: string,
  reference: string,
  arch: Arch,
  bundle: string,
): Promise<string | undefined> {
  let before: string | undefined;
  await bestEffort(async () => {
    before = (await readRemembered(folder, reference, arch))?.dirName;
    if (before === bundle) {
      const now = new Date();
      await utimes(pathOf(folder, reference, arch), now, now);
      return;
    }
    const text = JSON.stringify({ reference, arch, bundle, rememberedAt: new Date().toISOString() }, null, 2);
    await writeWhole(pathOf(folder, reference, arch), `${text}\n`);
  });
  return before;
}

function pathOf(folder: string, reference: string, arch: Arch): string {
  const name = createHash('sha256').update(`${arch}\n${reference}`).digest('hex').slice(0, 16);
  return join(folder, `${name}.json`);
}
