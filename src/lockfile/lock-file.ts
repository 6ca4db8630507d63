import { randomUUID } from 'node:crypto';
import { open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { SmartVMError, messageOf, systemCode } from '../errors.ts';
import type { LockFile } from './lock.ts';
import { isSound } from './sound.ts';

/** The name a lock file is looked for under. */
const LOCK_FILE_NAME = 'smartvm.lock';
const MAX_BYTES = 16 * 1024 * 1024;

/** The lock file in this folder or the nearest one above it, or `undefined`. */
export async function findLockFile(from: string): Promise<string | undefined> {
  for (let folder = resolve(from); ; folder = dirname(folder)) {
    const path = join(folder, LOCK_FILE_NAME);
    const isFile = await stat(path).then(
      (stats) => stats.isFile(),
      () => false,
    );
    if (isFile) return path;
    if (folder === dirname(folder)) return undefined;
  }
}

/** Reads a lock file; `undefined` when there is none. Rejects with `BASE_IMAGE_LOCK_MISMATCH`, naming the file and the fault. */
export async function readLockFile(path: string): Promise<LockFile | undefined> {
  let text: string;
  try {
    const { size } = await stat(path);
    if (size > MAX_BYTES) throw new Error(`it is larger than ${MAX_BYTES} bytes`);
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw unusable(path, messageOf(error), 'Check the path, and that this user may read it.', error);
  }
  return await parseLockFile(text, path);
}

async function parseLockFile(text: string, path: string): Promise<LockFile> {
  if (/^(?:<{7}|={7}|>{7})(?: |$)/m.test(text)) {
    const hint =
      'Take either side (`git checkout --ours`, `--theirs`), then run `smartvm lock --update` for what both changed.';
    throw unusable(path, 'it has the marks of a merge that is not finished', hint);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw unusable(path, `it is no JSON (${messageOf(error).slice(0, 200)})`, REWRITE, error);
  }
  const version = typeof value === 'object' && value !== null && 'lockVersion' in value ? value.lockVersion : undefined;
  if (typeof version === 'number' && version > 1) {
    throw unusable(path, `its lockVersion is ${version}, and this smartvm reads up to 1`, 'Use a newer smartvm.');
  }
  if (isSound(value)) return value;
  const { lockFile } = await import('./schema.ts');
  const parsed = lockFile.safeParse(value);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.slice(0, 10).map((issue) => `${issue.path.join('.')} ${issue.message}`);
  throw unusable(path, `it is no lock file:\n  ${problems.join('\n  ')}`, REWRITE, parsed.error);
}

const REWRITE = 'Restore it from version control, or remove it and write it anew with `smartvm lock <references>`.';

/** A lock file as text: sorted, so that a difference is a difference; two spaces, a final newline. */
function formatLockFile(lock: LockFile): string {
  return `${JSON.stringify(sorted(lock), null, 2)}\n`;
}

/** Writes a lock file whole. Rejects with `BASE_IMAGE_LOCK_MISMATCH`. */
export async function writeLockFile(path: string, lock: LockFile): Promise<void> {
  const temporary = `${path}.${randomUUID()}`;
  try {
    const handle = await open(temporary, 'wx', 0o666);
    try {
      await handle.writeFile(formatLockFile(lock));
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw new SmartVMError(`Failed to write the lock file ${path}: ${messageOf(error)}`, 'BASE_IMAGE_LOCK_MISMATCH', {
      cause: error,
      hint: 'Name another place with --lock-file.',
    });
  }
}

function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(sorted);
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, field]) => [key, sorted(field)]));
}

function unusable(path: string, why: string, hint: string, cause?: unknown): SmartVMError {
  return new SmartVMError(`Failed to read the lock file ${path}: ${why}`, 'BASE_IMAGE_LOCK_MISMATCH', {
    hint,
    ...(cause === undefined ? {} : { cause }),
  });
}
