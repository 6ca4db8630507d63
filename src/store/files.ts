import { randomBytes } from 'node:crypto';
import { closeSync, constants, openSync, readFileSync, readdirSync, type BigIntStats } from 'node:fs';
import { lstat, mkdir, open, readdir, rename, rm, rmdir, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { SmartVMError, systemCode } from '../errors.ts';

/** A fresh name that no other process will think of: 96 random bits as hex. */
export function randomSuffix(): string {
  return randomBytes(12).toString('hex');
}

/** The stats of a path itself, symlinks not followed, or `undefined` when nothing is there. Other errors are thrown. */
export async function statOf(path: string): Promise<BigIntStats | undefined> {
  return await unlessMissing(() => lstat(path, { bigint: true }));
}

/** Opens a file for reading without following a symlink and without waiting on a FIFO. */
export async function openForReading(path: string): Promise<FileHandle> {
  return await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
}

/** The text of a small file, or `undefined` when it is not there. */
export async function readText(path: string): Promise<string | undefined> {
  return await unlessMissing(async () => {
    const handle = await openForReading(path);
    try {
      return await handle.readFile('utf8');
    } finally {
      await handle.close();
    }
  });
}

/** The same at once, for those who have many to read. */
export function readTextNow(path: string): string | undefined {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
  try {
    return readFileSync(fd, 'utf8');
  } finally {
    closeSync(fd);
  }
}

/** The names in a directory, at once; none when it is not there. */
export function namesNow(path: string): readonly string[] {
  try {
    return readdirSync(path);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return [];
    throw error;
  }
}

/** Writes a file so that it is whole or not there, also after a power cut: a new file, synced, renamed into place. */
export async function writeWhole(path: string, text: string, mode = 0o600): Promise<void> {
  const temporary = `${path}.${randomSuffix()}`;
  try {
    await writeSynced(temporary, text, mode);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** Writes a new file and syncs it; fails when the path is taken. */
export async function writeSynced(path: string, text: string, mode: number): Promise<void> {
  const handle = await open(path, 'wx', 0o600);
  try {
    await handle.writeFile(text);
    await handle.chmod(mode);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Makes the names in a directory durable. */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** The answer of `work`, or `undefined` when what it looked for is not there. An unreadable thing is not a missing one. */
export async function unlessMissing<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/**
 * Moves a directory in one step. Where the file system refuses that for one that it only shows (the lower layers of an overlay:
 * a cache that came with a container image) its entries are moved, the record of a bundle first, so that it is never half there.
 */
export async function moveDirectory(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    if (systemCode(error) !== 'EXDEV') throw error;
    await mkdir(to, { mode: 0o700 });
    const names = await readdir(from);
    const first = 'manifest.json';
    for (const name of names.sort((a, b) => Number(b === first) - Number(a === first))) {
      await rename(join(from, name), join(to, name));
    }
    await rmdir(from);
  }
}

/** Does what is nice to have but never needed: a cache that cannot be written, or is full, is no reason to fail. */
export async function bestEffort(work: () => Promise<unknown>): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    if (systemCode(error) === undefined && !(error instanceof SmartVMError)) throw error;
    return false;
  }
}
