import { createHash, type Hash } from 'node:crypto';
import type { ArtifactStream } from '../../image.ts';

/** What the AWS command line cuts large uploads into; other part sizes cannot be guessed. */
const PART_BYTES = 8 * 1024 * 1024;
const ETAG = /^"([0-9a-f]{32})(?:-([1-9]\d{0,4}))?"$/;

/**
 * Holds bytes against an S3 ETag: the MD5 of an object, or of the MD5s of its parts. That guards the transfer and the store
 * behind it; it says nothing about who made the bytes, and is no identity.
 */
export class EtagCheck {
  readonly #expected: string;
  readonly #hasParts: boolean;
  readonly #parts: Buffer[] = [];
  #hash: Hash = createHash('md5');
  #inPart = 0;

  /** `undefined` for an ETag that is not made this way, or of parts of another size. */
  static of(etag: string | undefined, bytes: number | undefined): EtagCheck | undefined {
    const [, digest, parts] = ETAG.exec(etag ?? '') ?? [];
    if (digest === undefined || bytes === undefined) return undefined;
    if (parts === undefined) return new EtagCheck(digest, false);
    return Number(parts) === Math.max(1, Math.ceil(bytes / PART_BYTES)) ? new EtagCheck(digest, true) : undefined;
  }

  private constructor(expected: string, hasParts: boolean) {
    this.#expected = expected;
    this.#hasParts = hasParts;
  }

  update(chunk: Uint8Array): void {
    for (let start = 0; start < chunk.byteLength;) {
      const end = this.#hasParts ? Math.min(chunk.byteLength, start + PART_BYTES - this.#inPart) : chunk.byteLength;
      this.#hash.update(chunk.subarray(start, end));
      this.#inPart += end - start;
      start = end;
      if (this.#hasParts && this.#inPart === PART_BYTES) this.#endPart();
    }
  }

  /** True when what was given is what the ETag says. To be asked once, after all of it. */
  agrees(): boolean {
    if (!this.#hasParts) return this.#hash.digest('hex') === this.#expected;
    if (this.#inPart > 0 || this.#parts.length === 0) this.#endPart();
    return createHash('md5').update(Buffer.concat(this.#parts)).digest('hex') === this.#expected;
  }

  #endPart(): void {
    this.#parts.push(this.#hash.digest());
    this.#hash = createHash('md5');
    this.#inPart = 0;
  }
}

/** The same stream, looked at on its way; `whenEnded` is called when all of it has been read. */
export function watched(
  stream: ArtifactStream,
  onChunk: (chunk: Uint8Array) => void,
  whenEnded: () => void,
): ArtifactStream & AsyncIterator<Uint8Array, undefined> {
  const chunks = stream[Symbol.asyncIterator]();
  return {
    get source() {
      return stream.source ?? '';
    },
    get validator() {
      return stream.validator;
    },
    start: stream.start ?? 0,
    disown: (why) => stream.disown?.(why) ?? false,
    async next() {
      const result = await chunks.next();
      if (result.done !== true) onChunk(result.value);
      else whenEnded();
      return result;
    },
    async return() {
      await chunks.return?.();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
