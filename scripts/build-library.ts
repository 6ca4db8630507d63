import { join } from 'node:path';
import { build } from 'esbuild';
import { sourceTable } from './source-table.ts';

/**
 * Writes these files of `src/` to `dist/`, with all that they need: what is imported dynamically lies in `parts/`, and nobody else's
 * package is left outside. Names and lines stay as they are, for stack traces. Resolves with the files that went in.
 */
export async function buildLibrary(root: string, doors: readonly string[]): Promise<readonly string[]> {
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: doors.map((door) => join('src', `${door}.ts`)),
    outbase: 'src',
    outdir: 'dist',
    chunkNames: 'parts/[name]-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    preserveSymlinks: true,
    metafile: true,
    logLevel: 'warning',
    legalComments: 'none',
    plugins: [sourceTable],
    // CommonJS packages that were inlined ask for modules of Node by this name.
    banner: { js: 'const require = process.getBuiltinModule;' },
  });
  return Object.keys(metafile.inputs);
}
