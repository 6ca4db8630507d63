import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { Arch } from '../image.ts';
import { isBundleDirName } from './bundle-key.ts';
import { bestEffort, readText, writeWhole } from './files.ts';

/** The name of the bundle directory that a reference last resolved to, or `undefined`. */
export async function readRemembered(folder: string, reference: string, arch: Arch): Promise<string | undefined> {
  const text = await readText(pathOf(folder, reference, arch));
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null) return undefined;
    const { reference: ofReference, bundle }: { reference?: unknown; bundle?: unknown } = value;
    return ofReference === reference && typeof bundle === 'string' && isBundleDirName(bundle) ? bundle : undefined;
  } catch {
    return undefined;
  }
}

/** Remembers it, where the cache can be written. Writes only when it says something new. */
export async function writeRemembered(folder: string, reference: string, arch: Arch, bundle: string): Promise<void> {
  await bestEffort(async () => {
    if ((await readRemembered(folder, reference, arch)) === bundle) return;
    const text = JSON.stringify({ reference, arch, bundle, rememberedAt: new Date().toISOString() }, null, 2);
    await writeWhole(pathOf(folder, reference, arch), `${text}\n`);
  });
}

function pathOf(folder: string, reference: string, arch: Arch): string {
  const name = createHash('sha256').update(`${arch}\n${reference}`).digest('hex').slice(0, 16);
  return join(folder, `${name}.json`);
}
