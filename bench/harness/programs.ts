import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';

/**
 * Compiles the programs, so that plain Node starts them, and returns where they are: inside this package, where `smartvm` is what was
 * built and what users get.
 */
export async function compilePrograms(root: string): Promise<string> {
  const source = join(root, 'bench', 'programs');
  const outdir = join(root, 'temp', 'bench', 'programs');
  await rm(outdir, { recursive: true, force: true });
  const names = (await readdir(source)).filter((name) => name.endsWith('.ts'));
  await build({
    entryPoints: names.map((name) => join(source, name)),
    outdir,
    bundle: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    target: 'node20',
    tsconfigRaw: {},
    logLevel: 'warning',
  });
  return outdir;
}
