import { SmartVMError, isAbortError, messageOf } from '../errors.ts';
import type { TransferLimits } from '../settings.ts';
import { shown } from './address.ts';
import { pauseBefore } from './failure.ts';
import { Incoming } from './incoming.ts';
import type { Pieces } from './pieces.ts';
import type { RateLimit } from './rate-limit.ts';
import type { Answer } from './request.ts';
import { pause, type OnRetry } from './retry.ts';

/** The same body again: an answer, and how many of its first bytes are known already. */
export interface Rest {
  readonly answer: Answer;
  readonly skipBytes: number;
}

export interface BodyOptions {
  readonly signal: AbortSignal | undefined;
  /** How many bytes there will be, as far as anybody said. */
  readonly declaredBytes: number | undefined;
  /**
   * Asks once for the rest from this byte of the body on, until `ended` is aborted; `undefined` when it cannot be had. Absent: a cut is
   * final.
   */
  readonly reopen?: ((position: number, ended: AbortSignal) => Promise<Rest | undefined>) | undefined;
  /** True when a digest decides in the end: then all of the declared bytes are enough, however the answer ends. */
  readonly isVerified?: boolean | undefined;
  readonly onRetry?: OnRetry | undefined;
  readonly rate?: RateLimit | undefined;
}

/** A connection that brought this much counts as progress: tries begin to count anew. */
const PROGRESS_BYTES = 1024 * 1024;

/**
 * The bytes of an answer. A body that is cut, stalls or drips is asked for the rest where that is possible, and else rejects:
 * `TRANSFER_TRUNCATED`, `TRANSFER_TIMEOUT`, `TRANSFER_TOO_LARGE`. Its connection ends with it, also when nobody began to read.
 */
export class Body implements AsyncIterableIterator<Uint8Array> {
  readonly #options: BodyOptions;
  readonly #limits: TransferLimits;
  readonly #over = new AbortController();
  /** Aborted when the caller cancels, and when the body is given up: nothing is waited for any more. */
  readonly #ended: AbortSignal;
  #answer: Answer;
  #incoming: Pieces;
  #position = 0;
  #skipBytes = 0;
  #attempt = 0;
  #brokeAt = 0;
  #isOver = false;

  constructor(answer: Answer, options: BodyOptions) {
    this.#answer = answer;
    this.#limits = answer.limits;
    this.#options = options;
    const { signal } = options;
    this.#ended = signal === undefined ? this.#over.signal : AbortSignal.any([signal, this.#over.signal]);
    this.#incoming = answer.wide ?? new Incoming(answer);
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    while (!this.#isOver) {
      try {
        const piece = await this.#piece();
        if (piece === undefined) break;
        await this.#options.rate?.take(piece.byteLength, this.#ended);
        if (piece.byteLength > 0) return { done: false, value: piece };
      } catch (error) {
        this.#incoming.destroy();
        await this.#goOn(error).catch((final: unknown) => {
          if (this.#isOver) return;
          this.#end();
          throw final;
        });
      }
    }
    this.#end();
    return { done: true, value: undefined };
  }

  return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.#end();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #end(): void {
    this.#isOver = true;
    this.#over.abort();
    this.#incoming.destroy();
  }

  /** What comes next on this connection, without what is known already; `undefined` when all of the body has come. */
  async #piece(): Promise<Uint8Array | undefined> {
    const { signal, declaredBytes } = this.#options;
    let piece: Uint8Array | undefined;
    try {
      piece = await this.#incoming.next();
    } catch (error) {
      signal?.throwIfAborted();
      if (this.#hasAll) return undefined;
      if (error instanceof SmartVMError) throw this.#soFar(error);
      if (isAbortError(error)) throw error;
      throw this.#cut(`broke (${wordsFor(error)})`, error);
    }
    signal?.throwIfAborted();
    if (piece === undefined) {
      const isWhole = declaredBytes === undefined || this.#position === declaredBytes;
      if (this.#isOver || this.#hasAll || (this.#incoming.isComplete && isWhole && this.#skipBytes === 0))
        return undefined;
      throw this.#cut('ended');
    }
    const known = Math.min(this.#skipBytes, piece.byteLength);
    this.#skipBytes -= known;
    this.#position += piece.byteLength - known;
    if (declaredBytes !== undefined && this.#position > declaredBytes) {
      throw tooMuch(this.#answer.finalUrl, this.#position, declaredBytes);
    }
    return known === 0 ? piece : piece.subarray(known);
  }

  /** Has the rest under way, or throws what stands in the way of it. */
  async #goOn(failure: unknown): Promise<void> {
    const { reopen, signal, onRetry } = this.#options;
    const limits = this.#limits;
    // The reason of an abort may look like something that another try helps against.
    signal?.throwIfAborted();
    for (let error = failure; ;) {
      this.#attempt = this.#position - this.#brokeAt >= PROGRESS_BYTES ? 1 : this.#attempt + 1;
      this.#brokeAt = this.#position;
      const pauseMs = reopen === undefined ? undefined : pauseBefore(error, this.#attempt, limits);
      if (this.#isOver || reopen === undefined || pauseMs === undefined) throw this.#final(failure, error);
      const attempt = this.#attempt + 1;
      const source = new URL(this.#answer.finalUrl).host;
      onRetry?.({ source, message: messageOf(error), attempt, maxAttempts: limits.retries + 1, pauseMs });
      await pause(pauseMs, this.#ended);
      try {
        const rest = await reopen(this.#position, this.#ended);
        if (rest === undefined) throw failure;
        this.#answer = rest.answer;
        this.#skipBytes = rest.skipBytes;
        this.#incoming = rest.answer.wide ?? new Incoming(rest.answer);
        return;
      } catch (again) {
        this.#ended.throwIfAborted();
        if (again === failure || !(again instanceof SmartVMError)) throw again;
        error = again;
      }
    }
  }

  /** The failure that began it, with how often it was tried and what came last. */
  #final(failure: unknown, last: unknown): unknown {
    const tries = this.#attempt;
    if (!(failure instanceof SmartVMError) || tries < 2) return failure;
    const ended = failure === last ? '' : `, the last: ${messageOf(last)}`;
    const { code, hint, retryable } = failure;
    return new SmartVMError(`${failure.message}, after ${tries} tries${ended}`, code, {
      cause: last,
      retryable,
      ...(hint === undefined ? {} : { hint }),
    });
  }

  get #hasAll(): boolean {
    return this.#options.isVerified === true && this.#position === this.#options.declaredBytes;
  }

  /** The same failure, with how far the body came. */
  #soFar({ message, code, hint, retryable }: SmartVMError): SmartVMError {
    const said = `${message}, after ${this.#progress}`;
    return new SmartVMError(said, code, { retryable, ...(hint === undefined ? {} : { hint }) });
  }

  get #progress(): string {
    const { declaredBytes } = this.#options;
    return `${this.#position}${declaredBytes === undefined ? '' : ` of ${declaredBytes}`} bytes`;
  }

  #cut(what: string, cause?: unknown): SmartVMError {
    return new SmartVMError(
      `The transfer from ${shown(this.#answer.finalUrl)} ${what} after ${this.#progress}`,
      'TRANSFER_TRUNCATED',
      {
        retryable: true,
        hint: 'Ask again: what has come is kept where it can be continued.',
        ...(cause === undefined ? {} : { cause }),
      },
    );
  }
}

/** Node says no more than this of a connection that went away under a body. */
function wordsFor(error: unknown): string {
  const message = messageOf(error);
  return message === 'aborted' ? 'the connection was lost' : message;
}

function tooMuch(url: string, bytes: number, declaredBytes: number): SmartVMError {
  return new SmartVMError(
    `${shown(url)} sends ${bytes} bytes or more, and ${declaredBytes} were promised`,
    'TRANSFER_TOO_LARGE',
    { hint: 'The object is not the one that was promised: check its size, and the address.' },
  );
}
