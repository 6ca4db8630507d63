import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { SmartVMError } from '../errors.ts';
import { bestEffort } from './files.ts';
import { tryFlock } from './flock.ts';
import { writing } from './store-error.ts';

export interface LockOptions {
  readonly signal?: AbortSignal | undefined;
  /** How long to wait for another holder. Default 30 minutes: a build takes minutes. */
  readonly waitMs?: number;
  /** Called once, with words about the holder, when there is something to wait for. */
  readonly onWait?: (holder: string) => void;
}

const DEFAULT_WAIT_MS = 30 * 60_000;
/** The first wait between two tries; later ones are longer, because every try starts a process. */
const FIRST_POLL_MS = 30;
const LAST_POLL_MS = 500;
/** Waiters of this process stand in line here, so that just one of them asks the kernel. */
const queues = new Map<string, Promise<void>>();

/**
 * Runs `work` while no other process, and nobody else in this one, holds the lock of this file. The file is made and never
 * deleted: a deleted lock file is two locks.
 *
 * Rejects with `STORE_LOCKED`, naming the holder, when the wait is over; with the signal's reason when aborted.
 */
export async function withLock<T>(path: string, options: LockOptions, work: () => Promise<T>): Promise<T> {
  const before = queues.get(path) ?? Promise.resolve();
  let leave: () => void = () => undefined;
  const mine = Promise.all([before, new Promise<void>((resolve) => (leave = resolve))]).then(() => undefined);
  queues.set(path, mine);
  try {
    const deadline = performance.now() + (options.waitMs ?? DEFAULT_WAIT_MS);
    if (!(await isOurTurn(before, options))) throw stillLocked(path, 'this process', options);
    const handle = await acquire(path, deadline, options);
    try {
      return await work();
    } finally {
      await handle.close();
    }
  } finally {
    leave();
    if (queues.get(path) === mine) queues.delete(path);
  }
}

/** The same without waiting: `undefined` when somebody holds it. */
export async function tryLock<T>(path: string, work: () => Promise<T>): Promise<{ readonly result: T } | undefined> {
  if (queues.has(path)) return undefined;
  const handle = await openLock(path);
  try {
    if (!(await tryFlock(handle.fd, 'exclusive'))) return undefined;
    return { result: await work() };
  } finally {
    await handle.close();
  }
}

async function acquire(path: string, deadline: number, options: LockOptions): Promise<FileHandle> {
  const { signal, onWait } = options;
  const handle = await openLock(path);
  try {
    for (let pollMs = FIRST_POLL_MS; !(await tryFlock(handle.fd, 'exclusive'));) {
      const holder = await holderOf(handle);
      if (pollMs === FIRST_POLL_MS) onWait?.(holder);
      const leftMs = deadline - performance.now();
      if (leftMs <= 0) throw stillLocked(path, holder, options);
      await sleep(Math.min(pollMs, leftMs), undefined, signal === undefined ? {} : { signal });
      pollMs = Math.min(pollMs * 1.5, LAST_POLL_MS);
    }
    await signHolder(handle);
    return handle;
  } catch (error) {
    await handle.close();
    signal?.throwIfAborted();
    throw error;
  }
}

function openLock(path: string): Promise<FileHandle> {
  return writing(`open the lock ${path}`, () =>
    open(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600),
  );
}

/** For people who wonder what they wait for; the lock does not depend on it, so a full disk does not matter. */
async function signHolder(handle: FileHandle): Promise<void> {
  const text = `process ${process.pid} since ${new Date().toISOString()}\n`;
  await bestEffort(async () => {
    await handle.truncate(0);
    await handle.write(text, 0);
  });
}

async function holderOf(handle: FileHandle): Promise<string> {
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(200), 0, 200, 0);
  return buffer.toString('utf8', 0, bytesRead).trim() || 'another process';
}

function stillLocked(path: string, holder: string, { waitMs = DEFAULT_WAIT_MS }: LockOptions): SmartVMError {
  return new SmartVMError(
    `Failed to lock ${path}: after ${(waitMs / 1000).toFixed(1)} s it is still held by ${holder}`,
    'STORE_LOCKED',
    { retryable: true, hint: 'See whether that process makes progress; end it if it does not, and ask again.' },
  );
}

/** Waits for our turn in this process: false when the time is over. An aborted wait gives it up at once. */
async function isOurTurn(turn: Promise<void>, { signal, waitMs = DEFAULT_WAIT_MS }: LockOptions): Promise<boolean> {
  signal?.throwIfAborted();
  const over = new AbortController();
  const stop = signal === undefined ? over.signal : AbortSignal.any([signal, over.signal]);
  const timeIsOver = sleep(waitMs, false, { signal: stop });
  try {
    return await Promise.race([turn.then(() => true), timeIsOver]);
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    over.abort();
    await timeIsOver.catch(() => undefined);
  }
}
