import { answerOf, withHeader, type Header } from './answer.ts';
import type { Behaviour } from './behaviour.ts';

export interface StatusOptions {
  /** `Retry-After`: seconds, a date, or any other text. */
  readonly retryAfter?: number | string | Date | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: string | undefined;
}

/** This status instead of the file. */
export function status(code: number, { retryAfter, headers = {}, body }: StatusOptions = {}): Behaviour {
  const pause = retryAfter instanceof Date ? retryAfter.toUTCString() : retryAfter;
  const fields: Header[] = [
    ['Content-Type', 'text/plain'],
    ...(pause === undefined ? [] : [['Retry-After', String(pause)] as const]),
    ...Object.entries(headers),
  ];
  return { answer: () => answerOf(code, fields, Buffer.from(body ?? `status ${code}\n`)) };
}

/** A redirect. The place is sent as it is, whatever is in it, one byte for each character; without one there is no `Location`. */
export function redirect(location: string | undefined, { code = 302 }: { readonly code?: number } = {}): Behaviour {
  return { answer: () => answerOf(code, location === undefined ? [] : [['Location', location]]) };
}

/** A page of a web site with status 200: the login of a hotel, the error of a host that knows no errors. */
export function htmlPage(page = '<!DOCTYPE html><html><body>Please log in.</body></html>\n'): Behaviour {
  return { answer: () => answerOf(200, [['Content-Type', 'text/html']], Buffer.from(page)) };
}

/** With this header field, in the place of any of the same name. */
export function header(name: string, value: string): Behaviour {
  return { answer: (answer) => withHeader(answer, name, value) };
}

/** One header field of this size. */
export function hugeHeader(bytes = 1024 * 1024): Behaviour {
  return header('X-Huge', 'x'.repeat(bytes));
}

export function manyHeaders(count = 5000): Behaviour {
  const many = Array.from({ length: count }, (_, index) => [`X-Field-${index}`, 'x'] as const);
  return { answer: (answer) => ({ ...answer, headers: [...answer.headers, ...many] }) };
}
