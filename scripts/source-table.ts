import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Plugin } from 'esbuild';

/** Takes the place of the module that looks into `sources/`, with what is there now. */
export const sourceTable: Plugin = {
  name: 'source-table',
  setup(build) {
    build.onLoad({ filter: /\/src\/source-files\.ts$/ }, async ({ path }) => {
      const files = (await readdir(join(dirname(path), 'sources'))).filter((name) => name.endsWith('.ts'));
      const rows = files.map((file) => `  '${basename(file, '.ts')}': () => import('./sources/${file}'),\n`);
      const table = `const SOURCES = {\n${rows.join('')}};\n`;
      const load = `export const loadSource = async (name) => Object.hasOwn(SOURCES, name) ? await SOURCES[name]() : undefined;\n`;
      return { contents: table + load, loader: 'ts', resolveDir: dirname(path) };
    });
  },
};
