import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { lstat, mkdtemp, readdir, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import type { TestContext } from 'node:test';
import { SmartVMError, type SmartVMErrorCode } from '../../src/errors.ts';
import { BundleStore, type BundleStoreOptions } from '../../src/store/bundle-store.ts';

/** A store of one test in a folder that goes with it. */
export interface StorePlace {
  readonly dir: string;
  readonly cacheDir: string;
  readonly root: string;
  readonly store: BundleStore;
}

export async function storePlace(t: TestContext, options: Partial<BundleStoreOptions> = {}): Promise<StorePlace> {
  const dir = await realpath(await mkdtemp(join(tmpdir(), 'smartvm-store-')));
  t.after(() => rm(dir, { recursive: true, force: true }));
  const cacheDir = join(dir, 'cache');
  return { dir, cacheDir, root: join(cacheDir, 'v1'), store: new BundleStore({ cacheDir, ...options }) };
}

/** The `SmartVMError` a promise rejects with; anything else fails the test. */
export async function rejection(promise: Promise<unknown>, code?: SmartVMErrorCode): Promise<SmartVMError> {
  const error = await promise.then(
    () => new Error('it did not reject'),
    (reason: unknown) => reason,
  );
  if (error instanceof SmartVMError && (code === undefined || error.code === code)) return error;
  throw new Error(`expected a SmartVMError ${code ?? ''}`, { cause: error });
}

/** Every path below a folder, with what it is and its mode: `d 700 a`, `f 444 a/b`. */
export async function treeOf(dir: string): Promise<readonly string[]> {
  const lines: string[] = [];
  for (const entry of await readdir(dir, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const stats = await lstat(path);
    const kind = stats.isDirectory() ? 'd' : stats.isFile() ? 'f' : stats.isSymbolicLink() ? 'l' : '?';
    lines.push(`${kind} ${(stats.mode & 0o777).toString(8)} ${relative(dir, path)}`);
  }
  return lines.sort((a, b) => (a.slice(6) < b.slice(6) ? -1 : 1));
}

/** How a child ended, and what it said. */
export interface Ended {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Child {
  readonly pid: number;
  readonly ended: Promise<Ended>;
  kill(signal?: NodeJS.Signals): void;
}

/** Runs a TypeScript file of this folder in a process of its own, with arguments, optionally under another command. */
export function runScript(
  t: TestContext,
  script: string,
  args: readonly string[],
  { under = [], env = {} }: { readonly under?: readonly string[]; readonly env?: NodeJS.ProcessEnv } = {},
): Child {
  const path = join(import.meta.dirname, script);
  const [command = process.execPath, ...rest] = [...under, process.execPath, '--import', 'tsx', path, ...args];
  return runCommand(t, command, rest, env);
}

/** Runs a command; it does not outlive the test. */
export function runCommand(
  t: TestContext,
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Child {
  const child = spawn(command, args, {
    cwd: join(import.meta.dirname, '..', '..'),
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status, signal) => resolve({ status, signal, stdout, stderr }));
  });
  t.after(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    await ended.catch(() => undefined);
  });
  return { pid: child.pid ?? 0, ended, kill: (signal = 'SIGKILL') => void child.kill(signal) };
}

/** How often a line was appended to a file. */
export function linesIn(path: string): number {
  try {
    return readFileSync(path, 'utf8').split('\n').length - 1;
  } catch {
    return 0;
  }
}

/** Waits until something is so; fails after ten seconds. */
export async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`waited 10 s for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
