import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { build, transform } from 'esbuild';
import { oneStart } from './one-start.ts';
import { sourceTable } from './source-table.ts';

/**
 * Has a module of Node loaded when something of it is used for the first time: finding an image in the cache needs neither
 * `node:https` nor `node:child_process`, and each costs more than the whole search. Whoever imports the default asks whether it is an
 * ECMAScript module, which is no use.
 */
const HEAD = `const builtin = (name) => new Proxy({}, { get: (_, key) => (key === '__esModule' ? undefined : require(name)[key]) });
`;

/**
 * Writes the command to `dist/cli/`, with a copy of the library in which there is only what it uses. It is made for a quick start, which
 * is felt in every script that calls it: CommonJS, which Node begins several milliseconds sooner than ECMAScript modules; one file
 * for what a hit in the cache needs; all else in files that are loaded when they are called for. Resolves with the files that went in.
 */
export async function buildCommand(root: string): Promise<readonly string[]> {
  const { metafile, outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: ['src/cli/main.ts'],
    outdir: 'dist/cli',
    outExtension: { '.js': '.cjs' },
    chunkNames: '[name]-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    preserveSymlinks: true,
    metafile: true,
    write: false,
    logLevel: 'warning',
    legalComments: 'none',
    define: { 'import.meta.dirname': '__dirname' },
    plugins: [sourceTable, oneStart(join(root, 'src'), 'cli/program.ts')],
  });
  for (const { path, text } of outputFiles) {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, await asCommonJs(text));
  }
  await chmod(join(root, 'dist/cli/main.cjs'), 0o755);
  return Object.keys(metafile.inputs);
}

/** Only ECMAScript modules can be split, so what was split is translated, file by file. */
async function asCommonJs(text: string): Promise<string> {
  const { code } = await transform(text, {
    format: 'cjs',
    platform: 'node',
    target: 'node20',
    supported: { 'dynamic-import': false },
  });
  const lazy = code.replace(/\brequire\("(node:[^"]+)"\)/g, 'builtin("$1")');
  // What is imported as a whole is copied name by name, and one that was not loaded yet has none.
  const [, whole] = /\bvar (?!import_)\w+ = __toESM\(builtin\("([^"]+)"\)\)/.exec(lazy) ?? [];
  if (whole !== undefined) throw new Error(`import names or the default of ${whole}, not * as a whole`);
  return lazy.replace(/^(#!.*\n)?/, `$1${HEAD}`);
}
