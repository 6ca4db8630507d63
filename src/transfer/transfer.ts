import type { IncomingMessage } from 'node:http';
import { SmartVMError, isAbortError, messageOf } from '../errors.ts';
import type { ByteRange } from '../image.ts';
import { shown } from './address.ts';
import { request, type Answer, type RequestOptions } from './request.ts';

export interface StreamOptions extends RequestOptions {
  /** What the answer must say it is; checked before the first byte. */
  readonly expectedBytes?: number | undefined;
  /** ETag that the object must still have, quotes included. */
  readonly ifMatch?: string | undefined;
  readonly range?: ByteRange | undefined;
}

/** A body that is being received: hashed and limited by whoever reads it. */
export interface OpenedStream {
  readonly body: AsyncIterable<Uint8Array>;
  /** What the server says it will send. */
  readonly bytes?: number;
  readonly etag?: string;
  readonly finalUrl: string;
}

export interface DocumentOptions extends RequestOptions {
  /** Nothing larger is read. */
  readonly maxBytes: number;
}

export interface RemoteDocument {
  readonly body: Buffer;
  readonly contentType?: string;
  readonly etag?: string;
  readonly finalUrl: string;
}

/**
 * Begins to receive an object. A body that is cut, stalls or drips rejects while it is read: `TRANSFER_TRUNCATED`,
 * `TRANSFER_TIMEOUT`, `TRANSFER_NETWORK`. Rejects at once with the codes of `request`, and with `TRANSFER_TRUNCATED` or
 * `TRANSFER_TOO_LARGE` when the server says another size than is expected.
 */
export async function openStream(address: string, options: StreamOptions): Promise<OpenedStream> {
  const { range, ifMatch, expectedBytes } = options;
  const last = range?.end === undefined ? '' : range.end - 1;
  const headers = {
    ...options.headers,
    ...(ifMatch === undefined ? {} : { 'if-match': ifMatch }),
    ...(range === undefined ? {} : { range: `bytes=${range.start}-${last}` }),
  };
  const answer = await request(address, { ...options, headers });
  try {
    refuseEncoding(answer);
    if (range !== undefined) requireRange(answer, range);
    const bytes = lengthOf(answer);
    if (range === undefined && expectedBytes !== undefined && bytes !== undefined)
      requireLength(answer, bytes, expectedBytes);
    const { etag } = answer.headers;
    return {
      body: receive(answer, bytes, options.signal),
      finalUrl: answer.finalUrl,
      ...(bytes === undefined ? {} : { bytes }),
      ...(etag === undefined ? {} : { etag }),
    };
  } catch (error) {
    answer.body.destroy();
    throw error;
  }
}

/** Reads a small document whole. Rejects as `openStream`, and with `TRANSFER_TOO_LARGE` beyond `maxBytes`. */
export async function getDocument(address: string, options: DocumentOptions): Promise<RemoteDocument> {
  const answer = await request(address, options);
  try {
    refuseEncoding(answer);
    const declared = lengthOf(answer);
    if (declared !== undefined && declared > options.maxBytes) throw tooLarge(answer, declared, options.maxBytes);
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    for await (const chunk of receive(answer, declared, options.signal)) {
      bytes += chunk.byteLength;
      if (bytes > options.maxBytes) throw tooLarge(answer, bytes, options.maxBytes);
      chunks.push(chunk);
    }
    const { etag, 'content-type': contentType } = answer.headers;
    return {
      body: Buffer.concat(chunks),
      finalUrl: answer.finalUrl,
      ...(contentType === undefined ? {} : { contentType }),
      ...(etag === undefined ? {} : { etag }),
    };
  } finally {
    answer.body.destroy();
  }
}

/** The address that another one leads to, by a HEAD that follows redirects. Rejects as `request`. */
export async function resolveRedirect(address: string, options: RequestOptions): Promise<string> {
  const answer = await request(address, { ...options, method: 'HEAD' });
  answer.body.destroy();
  return answer.finalUrl;
}

async function* receive(
  answer: Answer,
  declared: number | undefined,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  const { body, limits, finalUrl } = answer;
  const watch = new PaceWatch(body, answer);
  let bytes = 0;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      bytes += chunk.byteLength;
      watch.saw(chunk.byteLength);
      yield chunk;
      watch.resumed();
    }
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof SmartVMError || isAbortError(error)) throw error;
    throw new SmartVMError(
      `The transfer from ${shown(finalUrl)} broke after ${bytes} of ${declared ?? 'unknown'} bytes: ${messageOf(error)}`,
      'TRANSFER_TRUNCATED',
      { cause: error, retryable: true, hint: 'Ask again.' },
    );
  } finally {
    watch.stop();
    body.destroy();
  }
  if (!body.complete || (declared !== undefined && bytes !== declared)) {
    throw new SmartVMError(
      `The transfer from ${shown(finalUrl)} ended after ${bytes} of ${declared ?? 'unknown'} bytes`,
      'TRANSFER_TRUNCATED',
      {
        retryable: true,
        hint: `Ask again. (It may take ${limits.idleTimeoutMs / 1000} s of silence before a transfer is given up.)`,
      },
    );
  }
}

/** Ends a body that stalls or drips. Time in which the reader is busy is not the server's. */
class PaceWatch {
  readonly #body: IncomingMessage;
  readonly #answer: Answer;
  readonly #clock: NodeJS.Timeout;
  /** Since when the reader waits; `undefined` while it works on a piece. */
  #waitingSince: number | undefined = performance.now();
  #lastByteAt = performance.now();
  #windowStart = performance.now();
  #windowWaitedMs = 0;
  #windowBytes = 0;

  constructor(body: IncomingMessage, answer: Answer) {
    this.#body = body;
    this.#answer = answer;
    this.#clock = setInterval(
      () => this.#look(),
      Math.min(answer.limits.idleTimeoutMs, answer.limits.lowSpeedMs, 4000) / 4,
    );
  }

  saw(bytes: number): void {
    this.#windowBytes += bytes;
    this.#windowWaitedMs += performance.now() - (this.#waitingSince ?? performance.now());
    this.#waitingSince = undefined;
  }

  resumed(): void {
    this.#waitingSince = performance.now();
    this.#lastByteAt = this.#waitingSince;
  }

  stop(): void {
    clearInterval(this.#clock);
  }

  #look(): void {
    if (this.#waitingSince === undefined) return;
    const { idleTimeoutMs, lowSpeedMs, lowSpeedBytesPerSecond } = this.#answer.limits;
    const now = performance.now();
    if (now - this.#lastByteAt >= idleTimeoutMs) this.#end(`sent nothing for ${idleTimeoutMs / 1000} s`);
    if (now - this.#windowStart < lowSpeedMs) return;
    const waitedMs = this.#windowWaitedMs + (now - this.#waitingSince);
    const perSecond = (this.#windowBytes / Math.max(waitedMs, 1)) * 1000;
    if (waitedMs >= lowSpeedMs / 2 && perSecond < lowSpeedBytesPerSecond) {
      this.#end(
        `sent ${Math.round(perSecond)} bytes a second, and less than ${lowSpeedBytesPerSecond} is given up after ${lowSpeedMs / 1000} s`,
      );
    }
    this.#windowStart = now;
    this.#windowBytes = 0;
    this.#windowWaitedMs = 0;
    this.#waitingSince = now;
  }

  #end(why: string): void {
    const message = `${shown(this.#answer.finalUrl)} ${why}`;
    this.#body.destroy(
      new SmartVMError(message, 'TRANSFER_TIMEOUT', { retryable: true, hint: 'Ask again, or use a nearer mirror.' }),
    );
  }
}

function lengthOf({ headers }: Answer): number | undefined {
  const text = headers['content-length'];
  return text === undefined ? undefined : Number(text);
}

function refuseEncoding({ headers, finalUrl }: Answer): void {
  const encoding = headers['content-encoding'];
  if (encoding === undefined || encoding === 'identity') return;
  throw new SmartVMError(
    `${shown(finalUrl)} is sent with Content-Encoding ${JSON.stringify(encoding)}, which was not asked for`,
    'TRANSFER_REFUSED',
    {
      hint: 'Digests are over the bytes themselves: have the host send them as they are.',
    },
  );
}

function requireLength({ finalUrl }: Answer, bytes: number, expectedBytes: number): void {
  if (bytes === expectedBytes) return;
  const code = bytes < expectedBytes ? 'TRANSFER_TRUNCATED' : 'TRANSFER_TOO_LARGE';
  throw new SmartVMError(`${shown(finalUrl)} is ${bytes} bytes, and ${expectedBytes} were expected`, code, {
    hint: 'The object is not the one that was promised: check the size that is promised, and the address.',
  });
}

function requireRange({ status, headers, finalUrl }: Answer, { start }: ByteRange): void {
  const got = /^bytes (\d+)-\d+\/(?:\d+|\*)$/.exec(headers['content-range'] ?? '')?.[1];
  if (status === 206 && got !== undefined && Number(got) === start) return;
  throw new SmartVMError(`${shown(finalUrl)} did not answer with the range from byte ${start}`, 'TRANSFER_REFUSED', {
    hint: 'The host serves no ranges: fetch the whole.',
  });
}

function tooLarge({ finalUrl }: Answer, bytes: number, maxBytes: number): SmartVMError {
  return new SmartVMError(
    `${shown(finalUrl)} is ${bytes} bytes or more, and at most ${maxBytes} are read`,
    'TRANSFER_TOO_LARGE',
    {
      hint: 'This is not the document that was asked for: check the address.',
    },
  );
}
