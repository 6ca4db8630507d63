import { SmartVMError } from '../errors.ts';
import type { ByteRange } from '../image.ts';
import { shown } from './address.ts';
import { Body } from './body.ts';
import { contentRange, lengthOf, rangeHeader, rangeLength, requireLength } from './range.ts';
import { request, type Answer, type RequestOptions } from './request.ts';
import { tryAgain } from './retry.ts';

export interface StreamOptions extends RequestOptions {
  /** Size of the whole object; what the answer says is held against it before the first byte, what comes after it too. */
  readonly expectedBytes?: number | undefined;
  /** ETag that the object must still have, quotes included. */
  readonly ifMatch?: string | undefined;
  /** Not empty. */
  readonly range?: ByteRange | undefined;
}

/** A body that is being received: hashed and limited by whoever reads it. */
export interface OpenedStream {
  /** To be read to its end, or given up by its iterator's `return()`. */
  readonly body: AsyncIterableIterator<Uint8Array>;
  /** How many bytes there will be, when the server says it. */
  readonly bytes?: number;
  readonly etag?: string;
  readonly finalUrl: string;
}

export interface DocumentOptions extends RequestOptions {
  /** Nothing larger is read. Default: the limit of the network. */
  readonly maxBytes?: number | undefined;
  /** Value of the `Accept` header. */
  readonly accept?: string | undefined;
}

export interface RemoteDocument {
  readonly body: Buffer;
  readonly contentType?: string;
  readonly etag?: string;
  readonly finalUrl: string;
}

/**
 * Begins to receive an object. A body that breaks goes on where it broke when the object has a strong ETag; else it rejects
 * while it is read: `TRANSFER_TRUNCATED`, `TRANSFER_TIMEOUT`, `TRANSFER_TOO_LARGE`.
 *
 * Rejects with the codes of `request`; with `TRANSFER_TRUNCATED` or `TRANSFER_TOO_LARGE` when the server says another size than is
 * expected; with `TRANSFER_REFUSED` for an encoded body and for a range that is not the one that was asked for.
 */
export async function openStream(address: string, options: StreamOptions): Promise<OpenedStream> {
  const { range, ifMatch, expectedBytes, signal } = options;
  const conditions = { ...options.headers, ...(ifMatch === undefined ? {} : { 'if-match': ifMatch }) };
  const headers = range === undefined ? conditions : { ...conditions, range: rangeHeader(range.start, range.end) };
  const answer = await request(address, { ...options, headers });
  return await orDestroyed(answer, async () => {
    refuseEncoding(answer);
    const bytes = range === undefined ? lengthOf(answer) : rangeLength(answer, range, expectedBytes);
    if (range === undefined && bytes !== undefined && expectedBytes !== undefined) {
      requireLength(answer, bytes, expectedBytes);
    }
    const declaredBytes = bytes ?? (range === undefined ? expectedBytes : undefined);
    const { etag } = answer.headers;
    const start = range?.start ?? 0;
    const reopen = (position: number): Promise<Answer | undefined> =>
      restFrom(start + position, answer, range?.end, { ...options, headers: conditions });
    return {
      body: new Body(answer, { signal, declaredBytes, ...(isStrong(etag) ? { reopen } : {}) }),
      finalUrl: answer.finalUrl,
      ...(bytes === undefined ? {} : { bytes }),
      ...(etag === undefined ? {} : { etag }),
    };
  });
}

/**
 * Reads a small document whole, from its beginning again when it breaks. Rejects as `openStream`, and with
 * `TRANSFER_TOO_LARGE` beyond `maxBytes`.
 */
export async function getDocument(address: string, options: DocumentOptions): Promise<RemoteDocument> {
  const { network, accept, signal, onRetry } = options;
  const limits = network.limits(options.limits);
  const { maxBytes = limits.maxDocumentBytes } = options;
  const headers = { ...options.headers, ...(accept === undefined ? {} : { accept }) };
  // The loop around the whole has the tries; one inside it would multiply them.
  return await tryAgain({ signal, limits, onRetry }, async (onHost) => {
    const answer = await request(address, { ...options, headers, onHost, limits: { ...limits, retries: 0 } });
    return await orDestroyed(answer, async () => {
      refuseEncoding(answer);
      const declaredBytes = lengthOf(answer);
      if (declaredBytes !== undefined && declaredBytes > maxBytes) throw tooLarge(answer, declaredBytes, maxBytes);
      const chunks: Uint8Array[] = [];
      let bytes = 0;
      for await (const chunk of new Body(answer, { signal, declaredBytes })) {
        bytes += chunk.byteLength;
        if (bytes > maxBytes) throw tooLarge(answer, bytes, maxBytes);
        chunks.push(chunk);
      }
      const { etag, 'content-type': contentType } = answer.headers;
      return {
        body: Buffer.concat(chunks),
        finalUrl: answer.finalUrl,
        ...(contentType === undefined ? {} : { contentType }),
        ...(etag === undefined ? {} : { etag }),
      };
    });
  });
}

/** The address that another one leads to, by a HEAD that follows redirects. Rejects as `request`. */
export async function resolveRedirect(address: string, options: RequestOptions): Promise<string> {
  const answer = await request(address, { ...options, method: 'HEAD' });
  answer.body.destroy();
  return answer.finalUrl;
}

/** The rest of the same object, or nothing when the server has another one or sends no rests. */
async function restFrom(
  start: number,
  first: Answer,
  end: number | undefined,
  options: RequestOptions,
): Promise<Answer | undefined> {
  const { etag } = first.headers;
  const headers = { ...options.headers, range: rangeHeader(start, end), 'if-range': etag ?? '' };
  // From where the first answer came: a redirect of today may lead to another copy.
  const answer = await request(first.finalUrl, { ...options, headers });
  const got = contentRange(answer);
  const whole = contentRange(first)?.total ?? lengthOf(first);
  const fits = got?.start === start && answer.headers.etag === etag && (whole === undefined || got.total === whole);
  if (fits && answer.headers['content-encoding'] === undefined) return answer;
  answer.body.destroy();
  return undefined;
}

function isStrong(etag: string | undefined): boolean {
  return etag !== undefined && /^"[\x21\x23-\x7e]+"$/.test(etag);
}

async function orDestroyed<T>(answer: Answer, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    answer.body.destroy();
    throw error;
  }
}

function refuseEncoding({ headers, finalUrl }: Answer): void {
  const encoding = headers['content-encoding'];
  if (encoding === undefined || encoding.toLowerCase() === 'identity') return;
  throw new SmartVMError(
    `${shown(finalUrl)} is sent with Content-Encoding ${JSON.stringify(encoding.slice(0, 40))}, which was not asked for`,
    'TRANSFER_REFUSED',
    { hint: 'Digests are over the bytes themselves: have the host send them as they are.' },
  );
}

function tooLarge({ finalUrl }: Answer, bytes: number, maxBytes: number): SmartVMError {
  return new SmartVMError(
    `${shown(finalUrl)} is ${bytes} bytes or more, and at most ${maxBytes} are read`,
    'TRANSFER_TOO_LARGE',
    { hint: 'This is not the document that was asked for: check the address.' },
  );
}
