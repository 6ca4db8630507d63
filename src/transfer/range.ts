import { SmartVMError } from '../errors.ts';
import { shown } from './address.ts';
import type { Answer } from './request.ts';

/** The bytes that an answer carries. */
export interface ContentRange {
  readonly start: number;
  /** First byte that is not sent. */
  readonly end: number;
  /** Size of the whole object, when it is said. */
  readonly total: number | undefined;
}

/** What a 206 says it sends; `undefined` for any other answer. */
export function contentRange({ status, headers }: Answer): ContentRange | undefined {
  const found = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/.exec(headers['content-range'] ?? '');
  if (status !== 206 || found === null) return undefined;
  return { start: Number(found[1]), end: Number(found[2]) + 1, total: found[3] === '*' ? undefined : Number(found[3]) };
}

/**
 * True for the part that was asked for, as far as it lies in the object. One to the end of an object of unknown size may be of any
 * length: it is not taken for that.
 */
export function isRange(
  answer: Answer,
  { start, end = Infinity }: WantedRange,
  expectedBytes: number | undefined,
): boolean {
  const got = contentRange(answer);
  if (got === undefined || got.start !== start) return false;
  const total = got.total ?? expectedBytes;
  const fits = total === undefined ? end !== Infinity && got.end <= end : got.end === Math.min(end, total);
  return fits && (lengthOf(answer) ?? got.end - start) === got.end - start;
}

interface WantedRange {
  readonly start: number;
  /** First byte that is not wanted. Absent: all that follows. */
  readonly end?: number | undefined;
}

/**
 * How many bytes of the wanted range come; a range beyond the object's end is shorter.
 *
 * @throws SmartVMError `TRANSFER_REFUSED` for another range, `TRANSFER_TRUNCATED` or `TRANSFER_TOO_LARGE` for an object of another size.
 */
export function rangeLength(answer: Answer, { start, end }: WantedRange, expectedBytes: number | undefined): number {
  const got = contentRange(answer);
  if (got === undefined || !isRange(answer, { start, end }, expectedBytes)) {
    const said = JSON.stringify(answer.headers['content-range']?.slice(0, 80) ?? `status ${answer.status}`);
    throw new SmartVMError(
      `${shown(answer.finalUrl)} was asked for bytes from ${start}${end === undefined ? '' : ` to ${end}`}, and answered with ${said}`,
      'TRANSFER_REFUSED',
      { hint: 'The host serves no ranges as they are asked for: fetch the whole.' },
    );
  }
  if (expectedBytes !== undefined && got.total !== undefined) requireLength(answer, got.total, expectedBytes);
  return got.end - start;
}

/** Value of the `Range` header; `end` is the first byte that is not wanted. */
export function rangeHeader(start: number, end: number | undefined): string {
  return `bytes=${start}-${end === undefined ? '' : end - 1}`;
}

/** What `Content-Length` says. */
export function lengthOf({ headers }: Answer): number | undefined {
  const text = headers['content-length'];
  return text === undefined ? undefined : Number(text);
}

/** @throws SmartVMError `TRANSFER_TRUNCATED` or `TRANSFER_TOO_LARGE`. */
export function requireLength({ finalUrl }: Answer, bytes: number, expectedBytes: number): void {
  if (bytes === expectedBytes) return;
  const code = bytes < expectedBytes ? 'TRANSFER_TRUNCATED' : 'TRANSFER_TOO_LARGE';
  throw new SmartVMError(`${shown(finalUrl)} is ${bytes} bytes, and ${expectedBytes} were expected`, code, {
    hint: 'The object is not the one that was promised: check the size that is promised, and the address.',
  });
}
