import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Plugin } from 'esbuild';

/**
 * Keeps everything that an entry of `src` imports statically in one file: opening a module costs a start more than reading it. What
 * is shared would be split by who shares it, so every file is made to share all of it.
 */
export function oneStart(src: string, entry: string): Plugin {
  const start = `\nimport ${JSON.stringify(join(src, entry))};\n`;
  const homes = homesOf(readFileSync(join(src, 'index.ts'), 'utf8'));
  return {
    name: 'one-start',
    setup(build) {
      build.onLoad({ filter: /\/src\/.*\.ts$/ }, async ({ path }) => ({
        contents: directly(await readFile(path, 'utf8'), src, homes) + start,
        loader: 'ts',
      }));
    },
  };
}

/** In which file the names are that `index.ts` lists. */
function homesOf(index: string): ReadonlyMap<string, string> {
  const lists = index.matchAll(/^export \{([^}]*)\} from '\.\/([^']+)';/gm);
  return new Map([...lists].flatMap(([, names = '', file = '']) => valuesOf(names).map((name) => [name, file])));
}

/** What is imported from `index.ts`, imported from where it is: importing one name of a list would be importing all of it. */
function directly(text: string, src: string, homes: ReadonlyMap<string, string>): string {
  return text.replace(/^(import|export) \{([^}]*)\} from '(?:\.\.\/)+index\.ts';/gm, (_, verb: string, names: string) =>
    valuesOf(names)
      .map((name) => `${verb} { ${name} } from ${JSON.stringify(join(src, homes.get(name) ?? 'index.ts'))};`)
      .join(' '),
  );
}

/** The names of a list that are not types. */
function valuesOf(names: string): string[] {
  return names.split(',').flatMap((name) => (/^\s*(?:type\s|$)/.test(name) ? [] : [name.trim()]));
}
