import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { readResults } from './store.ts';
import { formatResult } from './table.ts';

/** Writes the tables of docs/performance.md from the results that are kept; the words around them stay. Returns its path. */
export async function writeReport(root: string): Promise<string> {
  const path = join(root, 'docs', 'performance.md');
  let text = await readFile(path, 'utf8');
  for (const result of await readResults(root)) {
    const [begin, end] = [`<!-- bench:${result.bench} -->`, `<!-- /bench:${result.bench} -->`];
    const [from, to] = [text.indexOf(begin), text.indexOf(end)];
    if (from === -1 || to < from) throw new Error(`${path} has no place for ${result.bench}: ${begin} … ${end}`);
    text = `${text.slice(0, from + begin.length)}\n\n${formatResult(result)}\n\n${text.slice(to)}`;
  }
  await writeFile(path, await format(text, { ...(await resolveConfig(path)), filepath: path }));
  return path;
}
