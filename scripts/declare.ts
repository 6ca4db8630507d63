import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

/** Writes the declarations of these files and of what those import to `dist/`, and no others: the rest is nobody's business. */
export async function declare(root: string, doors: readonly string[]): Promise<void> {
  const all = await mkdtemp(join(tmpdir(), 'smartvm-types-'));
  try {
    const options = ['-p', 'tsconfig.build.json', '--emitDeclarationOnly', '--outDir', all];
    await promisify(execFile)(join(root, 'node_modules/.bin/tsc'), options, { cwd: root });
    const wanted = new Set(doors.map((door) => `${door}.d.ts`));
    for (const name of wanted) {
      const text = await readFile(join(all, name), 'utf8');
      for (const [, target = ''] of text.matchAll(/(?:\bfrom |\bimport\()['"](\.[^'"]+)\.[jt]s['"]/g)) {
        wanted.add(`${join(dirname(name), target)}.d.ts`);
      }
      await mkdir(dirname(join(root, 'dist', name)), { recursive: true });
      await copyFile(join(all, name), join(root, 'dist', name));
    }
  } finally {
    await rm(all, { recursive: true, force: true });
  }
}
