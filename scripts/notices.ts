import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';

interface About {
  readonly name: string;
  readonly version: string;
  readonly license: string;
}

const RULE = '-'.repeat(80);

/**
 * The licences of the packages that these files belong to, for the people who get them inside ours. Paths are from `root`; files
 * outside `node_modules` are our own. Rejects when a package says its licence nowhere.
 */
export async function noticesFor(files: readonly string[], root: string): Promise<string> {
  const folders = new Set(files.flatMap((file) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file) ?? []));
  const parts = await Promise.all([...folders].sort().map((folder) => noticeOf(join(root, folder))));
  return `The files beside this one contain code of these packages, which are not installed with it.\n${parts.join('')}`;
}

async function noticeOf(folder: string): Promise<string> {
  const { name, version, license } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as About;
  const file = (await readdir(folder)).find((one) => /^licen[cs]e(?:[-.][\w.-]+)?$/i.test(one));
  if (file === undefined) throw new Error(`${folder} has no file with its licence (${license})`);
  const text = (await readFile(join(folder, file), 'utf8')).replaceAll('\r\n', '\n').trim();
  return `\n${RULE}\n${name} ${version} (${license})\n${RULE}\n\n${text}\n`;
}
