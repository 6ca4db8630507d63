import { createHash } from 'node:crypto';
import { answerOf, type Answer, type Header } from './answer.ts';
import type { RequestHead } from './received-request.ts';

/** A file of the server. */
export interface ServedFile {
  readonly content: Uint8Array;
  /** With its quotes; `undefined`: none is sent. */
  readonly etag: string | undefined;
  readonly contentType: string;
  readonly hasRanges: boolean;
}

/** A file with a strong ETag that is made of its content. */
export function fileOf(content: Uint8Array | string): ServedFile {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content;
  const digest = createHash('sha256').update(bytes).digest('hex');
  return {
    content: bytes,
    etag: `"${digest.slice(0, 32)}"`,
    contentType: 'application/octet-stream',
    hasRanges: true,
  };
}

/** How a server that follows RFC 9110 answers, with conditions and one range at a time; `undefined` is a file that is not there. */
export function properAnswer(file: ServedFile | undefined, { method, headers }: RequestHead): Answer {
  if (file === undefined) return answerOf(404, PLAIN, Buffer.from('There is no such file.\n'));
  if (method !== 'GET' && method !== 'HEAD') return answerOf(405, [...PLAIN, ['Allow', 'GET, HEAD']]);
  const { content, etag, contentType, hasRanges } = file;
  const fields: Header[] = [
    ['Content-Type', contentType],
    ...(etag === undefined ? [] : [['ETag', etag] as const]),
    ['Accept-Ranges', hasRanges ? 'bytes' : 'none'],
  ];
  const { 'if-match': ifMatch, 'if-none-match': ifNoneMatch, 'if-range': ifRange, range } = headers;
  if (ifMatch !== undefined && ifMatch !== '*' && !listed(ifMatch).some((one) => isSame(one, etag))) {
    return answerOf(412, fields);
  }
  if (ifNoneMatch !== undefined && listed(ifNoneMatch).some((one) => opaque(one) === opaque(etag))) {
    return answerOf(304, fields);
  }
  const isWanted = hasRanges && method === 'GET' && (ifRange === undefined || isSame(ifRange, etag));
  const part = isWanted ? rangeFrom(range, content.byteLength) : undefined;
  if (part === undefined) return answerOf(200, fields, content);
  if (part === 'unsatisfiable') return answerOf(416, [...fields, ['Content-Range', `bytes */${content.byteLength}`]]);
  const { start, end } = part;
  const said = `bytes ${start}-${end - 1}/${content.byteLength}`;
  return answerOf(206, [...fields, ['Content-Range', said]], content.subarray(start, end));
}

const PLAIN: readonly Header[] = [['Content-Type', 'text/plain']];

/** The half-open range that is asked for; `undefined` where none is, or more than one, or none that can be read. */
function rangeFrom(
  range: string | undefined,
  bytes: number,
): { readonly start: number; readonly end: number } | 'unsatisfiable' | undefined {
  const [, first, last] = /^bytes=(\d*)-(\d*)$/.exec(range ?? '') ?? [];
  if (first === undefined || last === undefined || (first === '' && last === '')) return undefined;
  if (first !== '' && last !== '' && Number(last) < Number(first)) return undefined;
  const start = first === '' ? Math.max(0, bytes - Number(last)) : Number(first);
  const end = first === '' || last === '' ? bytes : Math.min(bytes, Number(last) + 1);
  return start >= end ? 'unsatisfiable' : { start, end };
}

/** The strong comparison: weak ETags equal nothing. */
function isSame(one: string, etag: string | undefined): boolean {
  return one === etag && one.startsWith('"');
}

function opaque(etag: string | undefined): string | undefined {
  return etag?.replace(/^W\//, '');
}

function listed(etags: string): string[] {
  return etags.split(',').map((one) => one.trim());
}
