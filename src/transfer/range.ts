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
 * How many bytes of the wanted range come; a range beyond the object's end is shorter.
 *
 * @throws SmartVMError `TRANSFER_REFUSED` for another range, `TRANSFER_TRUNCATED` or `TRANSFER_TOO_LARGE` for an object of another size.
 */
export function rangeLength(
  answer: Answer,
  { start, end = Infinity }: { readonly start: number; readonly end?: number | undefined },
  expectedBytes: number | undefined,
): number {
  const got = contentRange(answer);
  const total = got?.total ?? expectedBytes ?? Infinity;
  const fits =
    got !== undefined &&
    got.start === start &&
    got.end <= end &&
    (total === Infinity || got.end === Math.min(end, total)) &&
    (lengthOf(answer) ?? got.end - start) === got.end - start;
  if (!fits) {
    const said = JSON.stringify(answer.headers['content-range']?.slice(0, 80) ?? `status ${answer.status}`);
    throw new SmartVMError(
      `${shown(answer.finalUrl)} was asked for bytes from ${start}${end === Infinity ? '' : ` to ${end}`}, and answered with ${said}`,
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
