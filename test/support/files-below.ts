import { readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';

/** Every file and folder below this one, by its relative path, sorted. */
export async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.map((entry) => relative(folder, join(entry.parentPath, entry.name))).sort();
}
