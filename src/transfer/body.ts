import { SmartVMError, isAbortError, messageOf } from '../errors.ts';
import { shown } from './address.ts';
import { pauseBefore } from './failure.ts';
import { PaceWatch } from './pace-watch.ts';
import type { Answer } from './request.ts';
import { pause } from './retry.ts';

export interface BodyOptions {
  readonly signal: AbortSignal | undefined;
  /** How many bytes there will be, as far as anybody said. */
  readonly declaredBytes: number | undefined;
  /** Asks for the rest from this byte of the body on; `undefined` when it cannot be had. Absent: a cut is final. */
  readonly reopen?: ((position: number) => Promise<Answer | undefined>) | undefined;
}

/** A connection that brought this much counts as progress: tries begin to count anew. */
const PROGRESS_BYTES = 1024 * 1024;

/**
 * The bytes of an answer. A body that is cut, stalls or drips is asked for the rest where that is possible, and else rejects:
 * `TRANSFER_TRUNCATED`, `TRANSFER_TIMEOUT`, `TRANSFER_TOO_LARGE`. Its connection ends with it, also when nobody began to read.
 */
export class Body implements AsyncIterableIterator<Uint8Array> {
  readonly #bytes: AsyncGenerator<Uint8Array>;
  readonly #options: BodyOptions;
  #answer: Answer;
  #givenUp = false;

  constructor(answer: Answer, options: BodyOptions) {
    this.#answer = answer;
    this.#options = options;
    this.#bytes = this.#receive();
  }

  next(): Promise<IteratorResult<Uint8Array, undefined>> {
    return this.#bytes.next();
  }

  async return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.#givenUp = true;
    this.#answer.body.destroy();
    await this.#bytes.return(undefined);
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async *#receive(): AsyncGenerator<Uint8Array, undefined> {
    let position = 0;
    let attempt = 0;
    let brokeAt = 0;
    for (;;) {
      try {
        for await (const chunk of this.#pieces(position)) {
          position += chunk.byteLength;
          yield chunk;
        }
        return;
      } catch (error) {
        attempt = position - brokeAt >= PROGRESS_BYTES ? 1 : attempt + 1;
        brokeAt = position;
        if (!(await this.#goOn(error, position, attempt))) throw error;
      }
    }
  }

  /** True when the rest is under way. */
  async #goOn(error: unknown, position: number, attempt: number): Promise<boolean> {
    const { reopen, signal } = this.#options;
    const pauseMs = pauseBefore(error, attempt, this.#answer.limits);
    if (this.#givenUp || reopen === undefined || pauseMs === undefined) return false;
    await pause(pauseMs, signal);
    try {
      const answer = await reopen(position);
      if (answer === undefined) return false;
      this.#answer = answer;
      return true;
    } catch (again) {
      signal?.throwIfAborted();
      if (again instanceof SmartVMError) return false;
      throw again;
    }
  }

  /** What one connection gives of the body, from `start` on. */
  async *#pieces(start: number): AsyncGenerator<Uint8Array, undefined> {
    const { body, limits, finalUrl } = this.#answer;
    const { signal, declaredBytes } = this.#options;
    const watch = new PaceWatch(body, finalUrl, limits);
    let position = start;
    try {
      for await (const chunk of body as AsyncIterable<Uint8Array>) {
        position += chunk.byteLength;
        if (declaredBytes !== undefined && position > declaredBytes) throw tooMuch(finalUrl, position, declaredBytes);
        watch.saw(chunk.byteLength);
        yield chunk;
        watch.resumed();
      }
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof SmartVMError || isAbortError(error)) throw error;
      throw cut(finalUrl, position, declaredBytes, error);
    } finally {
      watch.stop();
      body.destroy();
    }
    if (!body.complete || (declaredBytes !== undefined && position !== declaredBytes)) {
      throw cut(finalUrl, position, declaredBytes);
    }
  }
}

function cut(url: string, bytes: number, declaredBytes: number | undefined, cause?: unknown): SmartVMError {
  const why = cause === undefined ? 'ended' : `broke (${messageOf(cause)})`;
  return new SmartVMError(
    `The transfer from ${shown(url)} ${why} after ${bytes} of ${declaredBytes ?? 'unknown'} bytes`,
    'TRANSFER_TRUNCATED',
    { retryable: true, hint: 'Ask again.', ...(cause === undefined ? {} : { cause }) },
  );
}

function tooMuch(url: string, bytes: number, declaredBytes: number): SmartVMError {
  return new SmartVMError(
    `${shown(url)} sends ${bytes} bytes or more, and ${declaredBytes} were promised`,
    'TRANSFER_TOO_LARGE',
    { hint: 'The object is not the one that was promised: check its size, and the address.' },
  );
}
