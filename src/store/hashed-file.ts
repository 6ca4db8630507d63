import { createHash, type Hash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { SmartVMError } from '../errors.ts';
import { sayingSpace } from './space.ts';
import { writing } from './store-error.ts';
import { BLOCK_BYTES, runsOfData } from './zero-blocks.ts';

/** The beginning of a file that is there already, with the hash of exactly these bytes. */
export interface Beginning {
  readonly bytes: number;
  readonly hash: Hash;
}

export interface HashedFileOptions {
  /** For words: what is written, and where it lies. */
  readonly fileName: string;
  readonly path: string;
  /** For words; 0 when nobody knows. */
  readonly totalBytes: number;
  /** The file ends here. Default: it is empty. */
  readonly beginning?: Beginning;
  /** Called after each write with the bytes that the kernel has taken so far, `beginning` included. */
  readonly onWritten?: (bytes: number) => void | Promise<void>;
}

/** Gathered before one write: large enough to be cheap. */
const GATHER_BYTES = 1024 * 1024;
/** More than this waits for nobody. */
const FULL_BYTES = 4 * 1024 * 1024;
/** No more pieces than this go into one write; the kernel takes 1024. */
const GATHER_PIECES = 1000;
/** What trickles in is written this often, so that it is seen and kept. */
const GATHER_MS = 200;

/**
 * A file that is written from its beginning and hashed over exactly the buffers that the kernel is given. Bytes are not copied:
 * they are gathered, and one write is under way while the next arrive. Blocks of zeros are left as holes.
 */
export class HashedFile {
  readonly #handle: FileHandle;
  readonly #options: HashedFileOptions;
  readonly #hash: Hash;
  #pieces: Uint8Array[] = [];
  #queuedBytes = 0;
  #position: number;
  /** Where the file ends now; holes at its end are not in it yet. */
  #endOfData: number;
  #writing: Promise<void> | undefined;
  #lastWriteAt = performance.now();
  #failure: { readonly error: unknown } | undefined;

  constructor(handle: FileHandle, options: HashedFileOptions) {
    this.#handle = handle;
    this.#options = options;
    this.#hash = options.beginning?.hash.copy() ?? createHash('sha256');
    this.#position = options.beginning?.bytes ?? 0;
    this.#endOfData = this.#position;
  }

  /** Bytes that the kernel has taken, the beginning included. */
  get bytes(): number {
    return this.#position;
  }

  /** True when so much waits to be written that whoever gives bytes should await `room()`. */
  get isFull(): boolean {
    return this.#queuedBytes > FULL_BYTES;
  }

  /**
   * Takes a piece, which is not to be changed any more, and writes it some time soon.
   *
   * @throws What an earlier write failed with.
   */
  add(piece: Uint8Array): void {
    this.#requireSound();
    if (piece.byteLength === 0) return;
    this.#pieces.push(piece);
    this.#queuedBytes += piece.byteLength;
    if (this.#writing !== undefined) return;
    if (!this.#isWorthWriting && performance.now() - this.#lastWriteAt < GATHER_MS) return;
    this.#writing = this.#writeGathered();
  }

  /** Waits until there is room for more. Rejects with what a write failed with. */
  async room(): Promise<void> {
    while (this.isFull && this.#failure === undefined) await this.#writing;
    this.#requireSound();
  }

  /** Writes all that was taken, holes at the end included. Rejects with what a write failed with. */
  async flush(): Promise<void> {
    await this.settle();
    this.#requireSound();
    while (this.#queuedBytes > 0) await this.#write(this.#take(this.#queuedBytes <= GATHER_BYTES));
    await this.extend();
  }

  /** Waits until nothing is under way, whatever became of it: the descriptor must not be closed under a write. */
  async settle(): Promise<void> {
    await this.#writing;
  }

  /** Gives the file the length of what was written, should that end with a hole. Not to be called while something is under way. */
  async extend(): Promise<void> {
    if (this.#endOfData === this.#position) return;
    await writing(`extend ${this.#options.path}`, () => this.#handle.truncate(this.#position));
    this.#endOfData = this.#position;
  }

  /** SHA-256 of the bytes that were written, lower-case hex. Not to be asked while something is under way. */
  digest(): string {
    return this.#hash.copy().digest('hex');
  }

  get #isWorthWriting(): boolean {
    return this.#queuedBytes >= GATHER_BYTES || this.#pieces.length >= GATHER_PIECES;
  }

  #requireSound(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** One write after the other while there is enough for one. Never rejects: the next call tells the failure. */
  async #writeGathered(): Promise<void> {
    try {
      do await this.#write(this.#take(false));
      while (this.#isWorthWriting);
    } catch (error) {
      this.#failure = { error };
    } finally {
      // Here and not after the promise: whoever adds in between would begin nothing, and wait for nobody.
      this.#writing = undefined;
    }
  }

  /** What the next write is given: as much as is worth one, to the end of a block where that is possible. */
  #take(isLast: boolean): readonly Uint8Array[] {
    const end = this.#position + Math.min(this.#queuedBytes, GATHER_BYTES);
    const endOfBlock = end - (end % BLOCK_BYTES);
    let leftBytes = (isLast || endOfBlock <= this.#position ? end : endOfBlock) - this.#position;
    let whole = 0;
    for (; whole < GATHER_PIECES && leftBytes > 0; whole += 1) {
      const { byteLength = 0 } = this.#pieces[whole] ?? {};
      if (byteLength > leftBytes) break;
      leftBytes -= byteLength;
    }
    const taken = this.#pieces.splice(0, whole);
    const [next] = this.#pieces;
    if (next !== undefined && leftBytes > 0 && whole < GATHER_PIECES) {
      taken.push(next.subarray(0, leftBytes));
      this.#pieces[0] = next.subarray(leftBytes);
    }
    return taken;
  }

  async #write(pieces: readonly Uint8Array[]): Promise<void> {
    this.#lastWriteAt = performance.now();
    const written = this.#writeRuns(pieces);
    let bytes = 0;
    for (const piece of pieces) {
      this.#hash.update(piece);
      bytes += piece.byteLength;
    }
    try {
      await written;
    } catch (error) {
      // The bytes are hashed and not there: nothing can be written after them.
      this.#failure = { error };
      throw error;
    }
    this.#position += bytes;
    this.#queuedBytes -= bytes;
    await this.#options.onWritten?.(this.#position);
  }

  async #writeRuns(pieces: readonly Uint8Array[]): Promise<void> {
    const { fileName, path, totalBytes } = this.#options;
    const step = `write ${path} for ${fileName}`;
    for (const { position, pieces: run } of runsOfData(pieces, this.#position)) {
      const bytes = run.reduce((sum, { byteLength }) => sum + byteLength, 0);
      await sayingSpace(step, path, totalBytes - position, async () => {
        const { bytesWritten } = await this.#handle.writev([...run], position);
        if (bytesWritten !== bytes) throw shortWrite(step, bytesWritten, bytes);
      });
      this.#endOfData = position + bytes;
    }
  }
}

function shortWrite(step: string, taken: number, given: number): SmartVMError {
  return new SmartVMError(`Failed to ${step}: ${taken} of ${given} bytes were taken`, 'STORE_NO_SPACE', {
    hint: 'The disk, a quota or a limit on file sizes is reached.',
  });
}
