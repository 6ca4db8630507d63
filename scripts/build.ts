import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildCommand } from './build-command.ts';
import { buildLibrary } from './build-library.ts';
import { declare } from './declare.ts';
import { noticesFor } from './notices.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

const about = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as {
  readonly exports: Readonly<Record<string, string>>;
};
/** What package.json exports is what is built. */
const doors = Object.values(about.exports)
  .filter((path) => path.startsWith('./dist/'))
  .map((path) => path.replace('./dist/', '').replace(/\.js$/, ''));

await rm(join(ROOT, 'dist'), { recursive: true, force: true });
const inputs = [...(await buildLibrary(ROOT, doors)), ...(await buildCommand(ROOT))];
await writeFile(join(ROOT, 'dist/THIRD-PARTY-NOTICES.txt'), await noticesFor(inputs, ROOT));
await declare(ROOT, doors);
