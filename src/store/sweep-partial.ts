import { lstatSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { Journal } from './journal.ts';
import type { Layout } from './layout.ts';
import { tryLock } from './lock.ts';

const KEPT_MS = 30 * 24 * 60 * 60_000;
const NAME = /^([0-9a-f]{64})\.part(?:\.journal)?$/;

/** True for the name of a file in staging that is being fetched, or was cut, and for that of its journal. */
export function isPartial(stagingName: string): boolean {
  return NAME.test(stagingName);
}

/** The contents that entries of staging are parts of. */
export function partialKeys(stagingNames: readonly string[]): readonly string[] {
  return [...new Set(stagingNames.flatMap((name) => NAME.exec(name)?.[1] ?? []))];
}

/** Removes a partial file that nobody is fetching: at once when it cannot be gone on with, after 30 days when it can. */
export async function sweepPartial(layout: Layout, key: string): Promise<void> {
  const { part, journal } = layout.partial(key);
  const isWorthKeeping = async (): Promise<boolean> => {
    const ageMs = Date.now() - (lstatSync(part, { throwIfNoEntry: false })?.mtimeMs ?? 0);
    return ageMs < KEPT_MS && (await new Journal(journal).read()) !== undefined;
  };
  // Most are kept: to ask the kernel for the lock costs a process.
  if (await isWorthKeeping()) return;
  await tryLock(layout.contentLock(key), async () => {
    if (await isWorthKeeping()) return;
    for (const path of [journal, part]) await rm(path, { recursive: true, force: true });
  });
}
