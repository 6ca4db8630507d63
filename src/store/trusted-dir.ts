import { randomUUID } from 'node:crypto';
import { lstatSync, realpathSync } from 'node:fs';
import { chmod, mkdir, readdir, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { SmartVMError, systemCode } from '../errors.ts';
import { readTextNow, writeWhole } from './files.ts';
import type { Layout } from './layout.ts';

const CACHEDIR_TAG =
  'Signature: 8a477f597d28d172789f06886806bc55\n# This folder is a cache of smartvm; it may be removed.\n';

/**
 * Makes sure that the cache is there and is ours: a real directory of this user, writable by nobody else, below ancestors
 * that nobody else can change, with our marker in it.
 *
 * Rejects with `BASE_IMAGE_CACHE_UNSAFE` when it is not; nothing in it was changed then.
 */
export async function prepareRoot(layout: Layout): Promise<void> {
  const cacheDir = dirname(layout.root);
  checkAncestors(cacheDir);
  await mkdir(cacheDir, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
    throw systemCode(error) === 'EEXIST' || systemCode(error) === 'ENOTDIR' ? notADirectory(cacheDir) : error;
  });
  checkDirectory(cacheDir, 'the cache folder');
  checkAncestors(cacheDir);
  const made = await mkdir(layout.root, { mode: 0o700 }).then(
    () => true,
    (error: unknown) => {
      if (systemCode(error) === 'EEXIST') return false;
      throw error;
    },
  );
  checkDirectory(layout.root, 'the cache');
  const marked = isMarked(layout);
  if (!marked && !made && (await holdsForeignFiles(layout)) && !isMarked(layout)) {
    throw unsafe(layout.root, 'holds files but not our marker owner.json');
  }
  for (const folder of layout.folders) {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    checkDirectory(folder, 'a folder of the cache');
  }
  if (marked) return;
  await chmod(layout.root, 0o700);
  await writeFile(join(layout.root, 'CACHEDIR.TAG'), CACHEDIR_TAG, { mode: 0o600 });
  await writeWhole(layout.owner, `${JSON.stringify({ format: 1, id: randomUUID() })}\n`);
}

/**
 * True when there is a cache and it is ours; false when there is none. Never writes. Looks at once: every hit asks this, and the
 * thread pool takes longer than a dozen short questions.
 *
 * @throws SmartVMError `BASE_IMAGE_CACHE_UNSAFE` when something is there that others could have put there or changed.
 */
export function checkRoot(layout: Layout): boolean {
  const cacheDir = dirname(layout.root);
  if (orMissing(() => lstatSync(layout.root)) === undefined) return false;
  checkDirectory(cacheDir, 'the cache folder');
  checkAncestors(cacheDir);
  checkDirectory(layout.root, 'the cache');
  return isMarked(layout);
}

function isMarked(layout: Layout): boolean {
  const text = readTextNow(layout.owner);
  if (text === undefined) return false;
  let marker: unknown;
  try {
    marker = JSON.parse(text);
  } catch {
    throw unsafe(layout.owner, 'is not our marker');
  }
  if (typeof marker === 'object' && marker !== null && 'format' in marker && marker.format === 1) return true;
  throw unsafe(layout.owner, 'names another format than 1');
}

/** True when there is more than a process can have left that died while it marked the folder: our folders, all empty. */
async function holdsForeignFiles(layout: Layout): Promise<boolean> {
  const ours = layout.folders.map((folder) => relative(layout.root, folder));
  const parents = ours.map((folder) => dirname(folder));
  for (const entry of await readdir(layout.root, { recursive: true, withFileTypes: true })) {
    const name = relative(layout.root, join(entry.parentPath, entry.name));
    const isOurs = entry.isDirectory()
      ? ours.includes(name) || parents.includes(name)
      : name === 'CACHEDIR.TAG' || /^owner\.json\.[0-9a-f]{24}$/.test(name);
    if (!isOurs) return true;
  }
  return false;
}

function checkDirectory(path: string, what: string): void {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined) throw unsafe(path, 'vanished while it was looked at');
  if (stats.isSymbolicLink()) throw unsafe(path, `is a symbolic link, and ${what} must be a real directory`);
  if (!stats.isDirectory()) throw notADirectory(path);
  const me = process.getuid?.();
  if (me !== undefined && stats.uid !== me) {
    throw unsafe(path, `belongs to user ${stats.uid}, and this process runs as user ${me}`);
  }
  const mode = stats.mode & 0o777;
  if ((mode & 0o022) !== 0) {
    throw unsafe(path, `can be written by others (mode 0${mode.toString(8)})`, `Mend it with: chmod go-w '${path}'`);
  }
}

/**
 * An ancestor that others can write lets them swap what lies below it, unless its sticky bit forbids it; so does a symbolic
 * link of somebody else. Ancestors that are not there yet are passed over.
 */
function checkAncestors(path: string): void {
  const me = process.getuid?.();
  if (me === undefined) return;
  const parent = dirname(path);
  const real = orMissing(() => realpathSync.native(parent));
  const ancestors = new Set([...fromRoot(parent), ...fromRoot(real ?? parent)]);
  for (const ancestor of ancestors) {
    const stats = orMissing(() => lstatSync(ancestor));
    if (stats === undefined) continue;
    const owner = stats.uid;
    if (owner !== 0 && owner !== me) throw unsafe(path, `lies below ${ancestor}, which belongs to user ${owner}`);
    if (stats.isSymbolicLink()) continue;
    const { mode } = stats;
    const foreignGroup = (mode & 0o020) !== 0 && stats.gid !== process.getgid?.() && stats.gid !== 0;
    if (((mode & 0o002) !== 0 || foreignGroup) && (mode & 0o1000) === 0) {
      throw unsafe(path, `lies below ${ancestor}, which others can write (mode 0${(mode & 0o7777).toString(8)})`);
    }
  }
}

/** A path and all above it, the root first. */
function fromRoot(path: string): readonly string[] {
  return dirname(path) === path ? [path] : [...fromRoot(dirname(path)), path];
}

function orMissing<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '')) return undefined;
    throw error;
  }
}

function notADirectory(path: string): SmartVMError {
  return unsafe(path, 'is not a directory');
}

function unsafe(path: string, why: string, hint?: string): SmartVMError {
  return new SmartVMError(`Failed to use the cache: ${path} ${why}`, 'BASE_IMAGE_CACHE_UNSAFE', {
    hint: hint ?? 'Name a folder of your own with SMARTVM_CACHE_DIR or --cache-dir. Nothing was changed.',
  });
}
