import { isUnencoded, orDestroyed, refuseEncoding } from './answer.ts';
import { SmartVMError } from '../errors.ts';
import { shown } from './address.ts';
import { Body, type Rest } from './body.ts';
import { StatusError } from './failure.ts';
import { contentRange, isRange, lengthOf, rangeHeader, rangeLength, requireLength } from './range.ts';
import { request, type Answer, type RequestOptions } from './request.ts';

export interface StreamOptions extends RequestOptions {
  /** Size of the whole object; what the answer says is held against it before the first byte, what comes after it too. */
  readonly expectedBytes?: number | undefined;
  /** ETag that the object must still have, quotes included. */
  readonly ifMatch?: string | undefined;
  /** Not empty. */
  readonly range?: { readonly start: number; readonly end?: number | undefined } | undefined;
  /** True when the bytes are held against a digest in the end: a rest may then be taken without an ETag that binds it. */
  readonly isVerified?: boolean | undefined;
}

/** A body that is being received: hashed and limited by whoever reads it. */
export interface OpenedStream {
  /** To be read to its end, or given up by its iterator's `return()`. */
  readonly body: AsyncIterableIterator<Uint8Array>;
  /** Position of its first byte. */
  readonly start: number;
  /** How many bytes there will be, when the server says it. */
  readonly bytes?: number;
  /** Size of the whole object, when the server says it. */
  readonly totalBytes?: number;
  readonly etag?: string;
  /** True when the server said that it serves parts. */
  readonly servesRanges: boolean;
  readonly finalUrl: string;
}

/**
 * Begins to receive an object. A body that breaks goes on where it broke when the object has a strong ETag, or is verified; else
 * it rejects while it is read: `TRANSFER_TRUNCATED`, `TRANSFER_TIMEOUT`, `TRANSFER_TOO_LARGE`.
 *
 * Rejects with the codes of `request`; with `TRANSFER_TRUNCATED` or `TRANSFER_TOO_LARGE` when the server says another size than is
 * expected; with `TRANSFER_REFUSED` for an encoded body and for a range that is not the one that was asked for; with `TRANSFER_CHANGED`
 * when the answer has another strong ETag than `ifMatch`.
 */
export async function openStream(address: string, options: StreamOptions): Promise<OpenedStream> {
  const { range } = options;
  const headers =
    range === undefined ? conditions(options) : { ...conditions(options), range: rangeHeader(range.start, range.end) };
  const answer = await request(address, { ...options, headers, isLarge: true });
  return await orDestroyed(answer, () => received(address, answer, options));
}

/**
 * Begins to receive the rest of an object from `start` on (to `end`, where it is said), as far as it is still the one that had this
 * strong ETag (absent: whatever is there). The whole object comes, and `start` is 0, when that cannot be had. Rejects as `openStream`.
 */
export async function continueStream(
  address: string,
  { start, end, etag }: NonNullable<StreamOptions['range']> & { readonly etag?: string | undefined },
  options: Omit<StreamOptions, 'range'>,
): Promise<OpenedStream> {
  const ifRange = etag === undefined ? {} : { 'if-range': etag };
  const headers = { ...conditions(options), ...ifRange, range: rangeHeader(start, end) };
  const answer = await unlessBeyond(request(address, { ...options, headers, isLarge: true }));
  if (answer?.status === 200) return await orDestroyed(answer, () => received(address, answer, options));
  const { expectedBytes } = options;
  const isRest =
    answer !== undefined && isRange(answer, { start, end }, expectedBytes) && isSame(answer, etag, expectedBytes);
  if (isRest) return await orDestroyed(answer, () => received(address, answer, { ...options, range: { start, end } }));
  answer?.body.destroy();
  return await openStream(address, options);
}

/** What an answer gives: checked as far as its head goes. */
function received(address: string, answer: Answer, options: StreamOptions): OpenedStream {
  const { range, expectedBytes, signal, network, onRetry } = options;
  refuseEncoding(answer);
  requireEtag(answer, options.ifMatch);
  const bytes = range === undefined ? lengthOf(answer) : rangeLength(answer, range, expectedBytes);
  if (range === undefined && bytes !== undefined && expectedBytes !== undefined) {
    requireLength(answer, bytes, expectedBytes);
  }
  const declaredBytes = bytes ?? (range === undefined ? expectedBytes : undefined);
  const { etag, 'accept-ranges': ranges } = answer.headers;
  const totalBytes = contentRange(answer)?.total ?? (range === undefined ? bytes : undefined);
  const start = range?.start ?? 0;
  const reopen = (position: number, ended: AbortSignal): Promise<Rest | undefined> => {
    const isSizeKnown = declaredBytes !== undefined;
    const wanted = { start: start + position, end: range?.end, etag, totalBytes, isSizeKnown };
    return restFrom(address, wanted, { ...options, signal: ended });
  };
  const canGoOn = isStrong(etag) || options.isVerified === true;
  return {
    body: new Body(answer, {
      signal,
      declaredBytes,
      isVerified: options.isVerified,
      onRetry,
      rate: network.rate,
      ...(canGoOn ? { reopen } : {}),
    }),
    start,
    servesRanges: answer.status === 206 || ranges?.toLowerCase() === 'bytes',
    finalUrl: answer.finalUrl,
    ...(bytes === undefined ? {} : { bytes }),
    ...(totalBytes === undefined ? {} : { totalBytes }),
    ...(etag === undefined ? {} : { etag }),
  };
}

/** The rest of an object that is wanted: from here to there, of the object that had this ETag and this size. */
interface Wanted {
  readonly start: number;
  readonly end: number | undefined;
  readonly etag: string | undefined;
  readonly totalBytes: number | undefined;
  /** True when it will be seen that something is missing. */
  readonly isSizeKnown: boolean;
}

/** Asks once for the rest of the same object; nothing when the server has another one, or sends no rest that fits. */
async function restFrom(address: string, wanted: Wanted, options: StreamOptions): Promise<Rest | undefined> {
  const { start, end, totalBytes } = wanted;
  const etag = isStrong(wanted.etag) ? wanted.etag : undefined;
  const headers = {
    ...conditions(options),
    ...(etag === undefined ? {} : { 'if-range': etag }),
    range: rangeHeader(start, end),
  };
  const once = { ...options, isLarge: true, limits: { ...options.limits, retries: 0 } };
  const answer = await unlessBeyond(request(address, { ...once, headers }));
  const isRest = (part: Answer): boolean => contentRange(part)?.start === start && isSame(part, etag, totalBytes);
  const isEnough = (part: Answer): boolean => wanted.isSizeKnown || isRange(part, { start, end }, totalBytes);
  if (answer !== undefined && isUnencoded(answer) && isRest(answer) && isEnough(answer)) {
    return { answer, skipBytes: 0 };
  }
  const binding = options.isVerified === true ? undefined : etag;
  const isAll = (all: Answer): boolean => all.status === 200 && isUnencoded(all) && isSame(all, binding, totalBytes);
  if (end === undefined && answer !== undefined && isAll(answer)) return { answer, skipBytes: start };
  answer?.body.destroy();
  if (end !== undefined || options.isVerified !== true) return undefined;
  // All of it again: whether it is the same, the digest tells.
  const all = await request(address, { ...once, headers: conditions(options) });
  if (isAll(all)) return { answer: all, skipBytes: start };
  all.body.destroy();
  return undefined;
}

/** An answer, or nothing when there is nothing at the place that was asked for. */
async function unlessBeyond(asked: Promise<Answer>): Promise<Answer | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof StatusError && error.status === 416) return undefined;
    throw error;
  }
}

/** True for an answer of an object with this size and this ETag, as far as they are known. */
function isSame(answer: Answer, etag: string | undefined, totalBytes: number | undefined): boolean {
  const total = contentRange(answer)?.total ?? (answer.status === 200 ? lengthOf(answer) : undefined);
  const sameSize = totalBytes === undefined || total === totalBytes;
  return sameSize && (etag === undefined || answer.headers.etag === etag);
}

/** Not every server heeds `If-Match`. A weak ETag may be the strong one after some proxy. */
function requireEtag({ headers, finalUrl }: Answer, wanted: string | undefined): void {
  const { etag } = headers;
  if (wanted === undefined || !isStrong(etag) || etag === wanted) return;
  throw new SmartVMError(
    `${shown(finalUrl)} has the ETag ${etag.slice(0, 80)} now, and ${wanted} was asked for`,
    'TRANSFER_CHANGED',
    { hint: 'It was replaced since it was looked up: ask again.', retryable: true },
  );
}

function conditions({ headers, ifMatch }: StreamOptions): Readonly<Record<string, string>> {
  return { ...headers, ...(ifMatch === undefined ? {} : { 'if-match': ifMatch }) };
}

/** True for an ETag that stands for exactly these bytes (RFC 9110, 8.8.3). */
export function isStrong(etag: string | undefined): etag is string {
  return etag !== undefined && /^"[\x21\x23-\x7e]+"$/.test(etag);
}
