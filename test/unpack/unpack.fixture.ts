import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import type { ArtifactStream, CompressedForm } from '../../src/image.ts';
import type { Pieces } from '../../src/unpack/feed.ts';
import { XZ, ZSTD, unpackWithCommand } from '../../src/unpack/with-command.ts';
import { unpackWithZlib } from '../../src/unpack/with-zlib.ts';
import { until } from '../transfer/transfer.fixture.ts';
import { unpackerFor, zstdInNode, type Unpacker } from '../../src/unpack/unpacker.ts';

export const FORMATS = ['zstd', 'gzip', 'xz'] as const;
export const SUFFIX = { zstd: '.zst', gzip: '.gz', xz: '.xz' } as const;

/** Packs bytes as the command of the format does. */
export function pack(format: CompressedForm['format'], plain: Uint8Array): Buffer {
  if (format === 'gzip') return gzipSync(plain);
  return execFileSync(format, ['-c', '-q'], { input: plain, maxBuffer: 2 * plain.byteLength + 1024 });
}

/** At least ten gibibytes of zeros, packed into ten mebibytes or more: many members, 64 MiB of zeros each. */
export function bomb(format: CompressedForm['format']): Buffer {
  const made = bombs.get(format);
  if (made !== undefined) return made;
  const member = pack(format, Buffer.alloc(64 * 1024 * 1024));
  const count = Math.max(160, Math.ceil(MIN_BOMB_BYTES / member.byteLength));
  const all = Buffer.concat(Array.from({ length: count }, () => member));
  bombs.set(format, all);
  return all;
}

const bombs = new Map<string, Buffer>();
const MIN_BOMB_BYTES = 10 * 1024 * 1024;

interface Way {
  readonly what: string;
  readonly format: CompressedForm['format'];
  readonly unpacker: Unpacker;
  readonly skip: false | string;
}

const zstdMaker = zstdInNode();

/** Every way to unpack there is, whichever is taken here by itself. */
export const WAYS: readonly Way[] = [
  { what: 'gzip in this process', format: 'gzip', unpacker: unpackerFor('gzip'), skip: false },
  {
    what: 'zstd in this process',
    format: 'zstd',
    unpacker: (pieces) => unpackWithZlib(zstdMaker ?? unreachable, pieces),
    skip: zstdMaker === undefined && `Node ${process.version} has no zstd, which came with 22.15`,
  },
  {
    what: 'zstd by its command',
    format: 'zstd',
    unpacker: (pieces, signal) => unpackWithCommand(ZSTD, pieces, signal),
    skip: false,
  },
  {
    what: 'xz by its command',
    format: 'xz',
    unpacker: (pieces, signal) => unpackWithCommand(XZ, pieces, signal),
    skip: false,
  },
];

function unreachable(): never {
  throw new Error('this way is skipped');
}

/** Bytes in pieces, and what was done with them. */
export class Source implements ArtifactStream, AsyncIterableIterator<Uint8Array> {
  readonly #bytes: Uint8Array;
  readonly #pieceBytes: number;
  readonly #failure: Error | undefined;
  readonly source = 'images.example';
  readonly validator = 'of the packed bytes';
  readonly disowned: string[] = [];
  #signal: AbortSignal | undefined;
  readBytes = 0;
  isClosed = false;

  /** Rejects with the failure behind the last piece. */
  constructor(bytes: Uint8Array, pieceBytes = 64 * 1024, failure?: Error) {
    this.#bytes = bytes;
    this.#pieceBytes = pieceBytes;
    this.#failure = failure;
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    // A piece comes when the event loop has gone on, as from a network.
    await new Promise((resolve) => setImmediate(resolve));
    this.#signal?.throwIfAborted();
    if (this.isClosed) return { done: true, value: undefined };
    const value = this.#bytes.subarray(this.readBytes, this.readBytes + this.#pieceBytes);
    if (value.byteLength === 0 && this.#failure !== undefined) throw this.#failure;
    if (value.byteLength === 0) return { done: true, value: undefined };
    this.readBytes += value.byteLength;
    return { done: false, value };
  }

  return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.isClosed = true;
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** From now on it rejects when this signal is aborted. */
  onAbort(signal: AbortSignal): void {
    this.#signal = signal;
  }

  disown(why: string): boolean {
    this.disowned.push(why);
    return true;
  }
}

export async function allOf(plain: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of plain) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Pieces without an end that never come. */
export function silentPieces(first: Uint8Array): Pieces {
  let isFirst = true;
  return {
    next: () => {
      if (!isFirst) return new Promise(() => undefined);
      isFirst = false;
      return Promise.resolve({ done: false, value: first });
    },
  };
}

/** Processes that this one has started and that are still there, also as zombies. */
export function childrenHere(): string[] {
  const tasks = readdirSync('/proc/self/task');
  return tasks
    .flatMap((task) => readFileSync(`/proc/self/task/${task}/children`, 'utf8').split(' '))
    .filter((pid) => pid !== '')
    .sort();
}

interface Held {
  readonly children: readonly string[];
  readonly openFiles: number;
}

/** What this process holds now. */
export function here(): Held {
  return { children: childrenHere(), openFiles: readdirSync('/proc/self/fd').length };
}

/** Makes sure that no process is there that was not there before, and soon nothing is open; what loads tests closes files of its own. */
export async function requireNothingSince({ children, openFiles }: Held): Promise<void> {
  assert.deepEqual(
    childrenHere().filter((pid) => !children.includes(pid)),
    [],
  );
  await until(() => here().openFiles <= openFiles);
}
