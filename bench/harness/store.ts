import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BenchResult } from './result.ts';

/** Rounds that a figure needs before it is kept. */
export const LEAST_ROUNDS = 7;

/** True for a result at full size and with enough rounds; any other is a rehearsal. */
export function isWorthKeeping({ scale, rounds }: BenchResult): boolean {
  return scale === 1 && rounds >= LEAST_ROUNDS;
}

/** Writes a result where it is kept, a rehearsal where it is not, and returns where. */
export async function writeResult(root: string, result: BenchResult): Promise<string> {
  const dir = isWorthKeeping(result) ? resultsDir(root) : join(root, 'temp', 'bench', 'rehearsals');
  await mkdir(dir, { recursive: true });
  const path = join(dir, `${result.bench}.json`);
  await writeFile(path, `${JSON.stringify(result, null, 2)}\n`);
  return path;
}

/** Every result that is kept. */
export async function readResults(root: string): Promise<readonly BenchResult[]> {
  const dir = resultsDir(root);
  await mkdir(dir, { recursive: true });
  const names = (await readdir(dir)).filter((name) => name.endsWith('.json')).sort();
  return await Promise.all(
    names.map(async (name) => JSON.parse(await readFile(join(dir, name), 'utf8')) as BenchResult),
  );
}

function resultsDir(root: string): string {
  return join(root, 'bench', 'results');
}
