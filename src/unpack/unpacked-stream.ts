import { SmartVMError, messageOf } from '../errors.ts';
import type { ArtifactStream, ByteRange } from '../image.ts';
import { PackedBytes, type PackedFile } from './packed-bytes.ts';
import { unpackerFor } from './unpacker.ts';

/**
 * The plain bytes of a packed file, in the end held against what was promised of both. They say no `validator`: no place in the packed
 * file belongs to a part of them.
 */
export class UnpackedStream implements ArtifactStream, AsyncIterableIterator<Uint8Array> {
  readonly #stream: ArtifactStream;
  readonly #packed: PackedFile;
  readonly #bytes: PackedBytes;
  readonly #plain: AsyncGenerator<Uint8Array, void, undefined>;
  readonly #signal: AbortSignal | undefined;
  readonly #end: number;
  readonly start: number;
  #position = 0;
  #isOver = false;

  constructor(
    stream: ArtifactStream,
    packed: PackedFile,
    range: ByteRange | undefined,
    signal: AbortSignal | undefined,
  ) {
    this.#stream = stream;
    this.#packed = packed;
    this.#signal = signal;
    const { start, end = Infinity } = range === undefined || range.validator !== undefined ? { start: 0 } : range;
    this.start = start;
    this.#end = end;
    this.#bytes = new PackedBytes(stream, packed);
    this.#plain = unpackerFor(packed.form.format)(this.#bytes, signal);
  }

  get source(): string {
    return this.#stream.source ?? '';
  }

  disown(why: string): boolean {
    return this.#stream.disown?.(why) ?? false;
  }

  /**
   * Rejects as the stream beneath; with `STORE_DIGEST_MISMATCH` when the packed bytes are others than were promised; with
   * `TRANSFER_TOO_LARGE` or `TRANSFER_TRUNCATED` when they unpack to more or less than was promised, and with `TRANSFER_REFUSED` when they
   * cannot be unpacked.
   */
  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    while (!this.#isOver) {
      const before = this.#position;
      const chunk = await this.#read();
      if (chunk === undefined) break;
      const wanted = chunk.subarray(Math.max(0, this.start - before), Math.max(0, this.#end - before));
      if (this.#position >= this.#end) await this.return();
      if (wanted.byteLength > 0) return { done: false, value: wanted };
    }
    return { done: true, value: undefined };
  }

  /** The packed bytes are ended first: their unpacker may be waiting for more of them. */
  async return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.#isOver = true;
    try {
      await this.#bytes.close();
    } finally {
      await this.#plain.return();
    }
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** The next plain bytes, `undefined` behind the last. */
  async #read(): Promise<Uint8Array | undefined> {
    try {
      const { done, value } = await this.#plain.next();
      if (done === true) {
        this.#requireAll();
        this.#isOver = true;
        return undefined;
      }
      this.#position += value.byteLength;
      if (this.#position > this.#packed.plainBytes) throw this.#wrongSize('TRANSFER_TOO_LARGE', 'or more');
      return value;
    } catch (error) {
      const failure = await this.#verdict(error);
      await this.return();
      this.#signal?.throwIfAborted();
      throw failure;
    }
  }

  #requireAll(): void {
    const wrong = this.#bytes.wrongDigest();
    if (wrong !== undefined) throw wrong;
    if (this.#position < this.#packed.plainBytes) throw this.#wrongSize('TRANSFER_TRUNCATED', 'in all');
  }

  /**
   * What a failure is told as. Where a digest can tell whether the bytes are the published ones, the rest of them is read for it:
   * a place that gives others is to be left, and it is no use to ask elsewhere for what was published like this.
   */
  async #verdict(error: unknown): Promise<unknown> {
    if (this.#bytes.failure !== undefined) return this.#bytes.failure;
    const { name, form } = this.#packed;
    const isOfBytes = !(error instanceof SmartVMError) || error.code === 'TRANSFER_TOO_LARGE';
    const failure = error instanceof SmartVMError ? error : cannotBeUnpacked(name, form.format, error);
    if (!isOfBytes || form.sha256 === undefined) return failure;
    await this.#plain.return();
    const isWhole = await this.#bytes.drain().then(
      () => true,
      () => false,
    );
    return (isWhole ? this.#bytes.wrongDigest(failure) : undefined) ?? failure;
  }

  #wrongSize(code: 'TRANSFER_TOO_LARGE' | 'TRANSFER_TRUNCATED', how: string): SmartVMError {
    const { name, plainBytes } = this.#packed;
    return new SmartVMError(
      `${name} unpacks to ${this.#position} bytes ${how}, and ${plainBytes} were promised`,
      code,
      {
        hint: 'The size that is promised is that of the plain file: ask whoever publishes it.',
      },
    );
  }
}

function cannotBeUnpacked(name: string, format: string, cause: unknown): SmartVMError {
  return new SmartVMError(`Failed to unpack ${name} (${format}): ${messageOf(cause)}`, 'TRANSFER_REFUSED', {
    cause,
    hint: 'It is damaged, or packed in another way than is said: ask whoever publishes it.',
  });
}
