import { createHash } from 'node:crypto';
import { SmartVMError } from '../errors.ts';
import type { ArtifactStream, CompressedForm } from '../image.ts';
import type { Pieces } from './feed.ts';
import { TELLING_BYTES, requireFormat } from './format.ts';

/** A packed file, and how much there is in it. */
export interface PackedFile {
  /** For words: its path or its address. */
  readonly name: string;
  readonly form: CompressedForm;
  readonly plainBytes: number;
}

/** The bytes of a packed file on their way to be unpacked: counted, bounded and hashed. */
export class PackedBytes implements Pieces {
  readonly #pieces: AsyncIterator<Uint8Array>;
  readonly #packed: PackedFile;
  readonly #hash = createHash('sha256');
  #beginning = Buffer.alloc(0);
  #bytes = 0;
  #isOver = false;
  #failure: unknown;

  constructor(stream: ArtifactStream, packed: PackedFile) {
    this.#pieces = stream[Symbol.asyncIterator]();
    this.#packed = packed;
  }

  /** What reading them failed with: unpacking is not to blame then. */
  get failure(): unknown {
    return this.#failure;
  }

  /** Rejects as the stream does, with `TRANSFER_TOO_LARGE`, or with an `Error` when they are not of the format that was said. */
  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    const piece = await this.#read();
    if (this.#beginning.byteLength < TELLING_BYTES) {
      this.#beginning = Buffer.concat([this.#beginning, piece ?? Buffer.alloc(0)]).subarray(0, TELLING_BYTES);
      const isTelling = piece === undefined || this.#beginning.byteLength === TELLING_BYTES;
      if (isTelling) requireFormat(this.#packed.form.format, this.#beginning);
    }
    return piece === undefined ? { done: true, value: undefined } : { done: false, value: piece };
  }

  /** Reads what is left. Rejects as the stream does, and with `TRANSFER_TOO_LARGE`. */
  async drain(): Promise<void> {
    while (!this.#isOver) await this.#read();
  }

  /** What is wrong with the digest of all of it; `undefined` when nothing is known to be. To be asked once, after the end. */
  wrongDigest(cause?: unknown): SmartVMError | undefined {
    const { name, form } = this.#packed;
    const sha256 = this.#hash.digest('hex');
    if (form.sha256 === undefined || form.sha256 === sha256) return undefined;
    return new SmartVMError(
      `${name}, as it is compressed, SHA-256 mismatch: expected ${form.sha256}, got ${sha256}`,
      'STORE_DIGEST_MISMATCH',
      {
        hint: 'The source gave other bytes than were promised. Ask whoever publishes the digest before you trust either.',
        ...(cause === undefined ? {} : { cause }),
      },
    );
  }

  async close(): Promise<void> {
    await this.#pieces.return?.();
  }

  async #read(): Promise<Uint8Array | undefined> {
    try {
      const { done, value } = (await this.#pieces.next()) as IteratorResult<Uint8Array, undefined>;
      this.#isOver = done === true;
      if (done === true) return undefined;
      this.#bytes += value.byteLength;
      this.#requireBound();
      this.#hash.update(value);
      return value;
    } catch (error) {
      this.#failure = error;
      throw error;
    }
  }

  #requireBound(): void {
    const { name, form, plainBytes } = this.#packed;
    if (this.#bytes <= (form.bytes ?? mostBytes(plainBytes))) return;
    const limit =
      form.bytes === undefined ? `${plainBytes} bytes are never packed into so many` : `${form.bytes} were promised`;
    throw new SmartVMError(
      `${name} has ${this.#bytes} bytes or more as it is compressed, and ${limit}`,
      'TRANSFER_TOO_LARGE',
      { hint: 'It is not the file that was promised: check its sizes, and the address.' },
    );
  }
}

/** More than any packer makes of so many bytes: what unpacks to nothing must end too. */
function mostBytes(plainBytes: number): number {
  return plainBytes + Math.ceil(plainBytes / 8) + 1024 * 1024;
}
