import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { SmartVMError, messageOf, systemCode } from '../errors.ts';
import { taken, type Pieces } from './feed.ts';

/** A program that unpacks its standard input to its standard output. */
export interface Command {
  readonly name: string;
  readonly args: readonly string[];
  readonly debianPackage: string;
}

/** It takes windows of up to 128 MiB by itself, as zlib does. */
export const ZSTD: Command = { name: 'zstd', args: ['-dcq'], debianPackage: 'zstd' };
/** What was packed with `xz -9` needs 65 MiB. Threads would have a limit each. */
export const XZ: Command = {
  name: 'xz',
  args: ['-dcq', '--format=xz', '--threads=1', '--memlimit-decompress=256MiB'],
  debianPackage: 'xz-utils',
};

const SHOWN_CHARACTERS = 1000;

/**
 * Unpacks a file with a program, as far as the reader asks. The program ends with the reading, when the signal is aborted, and with
 * this process.
 *
 * Rejects with `TRANSFER_REFUSED` when the program cannot be started, with what it says when it fails, with the reason of the signal, or
 * with what the pieces reject with. Does not close the pieces.
 */
export async function* unpackWithCommand(
  command: Command,
  pieces: Pieces,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  const child = await started(command, signal);
  const ended = endOf(child, command);
  const fed = feed(child, pieces);
  // They are told when all that came out was read.
  for (const one of [ended, fed]) one.catch(() => undefined);
  try {
    yield* child.stdout as AsyncIterable<Uint8Array>;
    signal?.throwIfAborted();
    const isAllTaken = await fed;
    await ended;
    if (!isAllTaken) throw new Error(`${command.name} ended before all was read`);
  } finally {
    child.kill('SIGKILL');
    child.stdin.destroy();
    await Promise.allSettled([ended, fed]);
  }
}

async function started(
  { name, args, debianPackage }: Command,
  signal: AbortSignal | undefined,
): Promise<ChildProcessWithoutNullStreams> {
  signal?.throwIfAborted();
  const child = spawn(name, args, {
    // What a user has set for himself must not lift the limits.
    env: { ...process.env, LC_ALL: 'C', XZ_DEFAULTS: '', XZ_OPT: '' },
    killSignal: 'SIGKILL',
    ...(signal === undefined ? {} : { signal }),
  });
  if (child.pid !== undefined) return child;
  const [cause] = (await once(child, 'error')) as [unknown];
  const isMissing = systemCode(cause) === 'ENOENT';
  throw new SmartVMError(
    `Failed to unpack with ${name}: ${isMissing ? 'it is not on PATH' : messageOf(cause)}`,
    'TRANSFER_REFUSED',
    { cause, ...(isMissing ? { hint: `apt-get install ${debianPackage}` } : {}) },
  );
}

/** Gives it all pieces, or as many as it takes. False when it took no more; why, it says itself. */
async function feed(child: ChildProcessWithoutNullStreams, pieces: Pieces): Promise<boolean> {
  const { stdin } = child;
  stdin.on('error', () => undefined);
  try {
    for (let next = await pieces.next(); next.done !== true; next = await pieces.next()) {
      if (!(await taken(stdin, next.value))) return false;
    }
    stdin.end();
    return true;
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
}

/** Resolves when it has ended well, and all that was open to it is closed. */
async function endOf(child: ChildProcessWithoutNullStreams, { name }: Command): Promise<void> {
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-SHOWN_CHARACTERS)));
  // An abort is told as an error before the end.
  child.on('error', () => undefined);
  const how = await new Promise<string>((resolve) => {
    child.once('close', (code, signal) => resolve(signal ?? `status ${code ?? 'none'}`));
  });
  if (how !== 'status 0') throw new Error(`${name} ended with ${how}: ${said.trim()}`);
}
