/** What goes over the wire for one request: plain data, which behaviours change. */
export interface Answer {
  readonly status: number;
  readonly reason: string;
  /** In the order in which they are sent; a name may be there twice. `Content-Length` and `Transfer-Encoding` are added where none is. */
  readonly headers: readonly Header[];
  readonly body: Uint8Array;
  /** How the client is to learn where the body ends: by its length, by chunks of `chunkBytes`, or by the end of the connection. */
  readonly framing: 'length' | 'chunked' | 'close';
  readonly chunkBytes: number;
  /** The body over and over, without end. */
  readonly isEndless: boolean;
  /** Sent after the end of the body. */
  readonly extra: Uint8Array;
  /** Sent instead of status, headers and body. */
  readonly raw: Uint8Array | undefined;
  /** Before the first byte. */
  readonly delayMs: number;
  readonly pace: Pace | undefined;
  readonly stop: Stop | undefined;
}

export type Header = readonly [name: string, value: string];

/** So many bytes of the body, and then a pause. */
export interface Pace {
  readonly bytes: number;
  readonly everyMs: number;
}

/** Where sending ends before its time: with a FIN, with a RST, or with silence on an open connection. */
export interface Stop {
  /** Of the body, or of what is sent raw. */
  readonly afterBytes: number;
  readonly how: 'end' | 'reset' | 'stall';
}

/** An answer that is sent as it should be. */
export function answerOf(status: number, headers: readonly Header[], body: Uint8Array = NOTHING): Answer {
  return {
    status,
    reason: REASONS[status] ?? 'Status',
    headers,
    body,
    framing: 'length',
    chunkBytes: 16 * 1024,
    isEndless: false,
    extra: NOTHING,
    raw: undefined,
    delayMs: 0,
    pace: undefined,
    stop: undefined,
  };
}

/** Without the headers of this name, and with `value`, where there is one, in their place. */
export function withHeader(answer: Answer, name: string, value: string | undefined): Answer {
  const others = answer.headers.filter(([other]) => other.toLowerCase() !== name.toLowerCase());
  return { ...answer, headers: value === undefined ? others : [...others, [name, value]] };
}

/** Status line and headers with the empty line after them, bytes as latin1. */
export function headOf({ status, reason, headers, body, framing, isEndless }: Answer): string {
  const names = new Set(headers.map(([name]) => name.toLowerCase()));
  const added: Header[] = [];
  const isFramed = names.has('content-length') || names.has('transfer-encoding') || status === NOT_MODIFIED;
  if (framing === 'length' && !isFramed && !isEndless) added.push(['Content-Length', String(body.byteLength)]);
  if (framing === 'chunked' && !names.has('transfer-encoding')) added.push(['Transfer-Encoding', 'chunked']);
  if (framing === 'close') added.push(['Connection', 'close']);
  const lines = [...headers, ...added].map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} ${reason}\r\n${lines.join('')}\r\n`;
}

/** True when nothing after this answer can be told from its rest: the connection has to end with it. */
export function endsConnection({ headers, body, framing, extra, raw, stop, isEndless }: Answer): boolean {
  const isUnclear = headers.some(
    ([name, value]) =>
      (name.toLowerCase() === 'content-length' && value !== String(body.byteLength)) ||
      (name.toLowerCase() === 'transfer-encoding' && framing !== 'chunked'),
  );
  return (
    isUnclear || framing === 'close' || isEndless || extra.byteLength > 0 || raw !== undefined || stop !== undefined
  );
}

/** Never has a body, whatever it says of its length. */
const NOT_MODIFIED = 304;
const NOTHING = new Uint8Array();

const REASONS: Readonly<Record<number, string>> = {
  200: 'OK',
  206: 'Partial Content',
  301: 'Moved Permanently',
  302: 'Found',
  303: 'See Other',
  304: 'Not Modified',
  307: 'Temporary Redirect',
  308: 'Permanent Redirect',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  410: 'Gone',
  412: 'Precondition Failed',
  416: 'Range Not Satisfiable',
  429: 'Too Many Requests',
  451: 'Unavailable For Legal Reasons',
  500: 'Internal Server Error',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
};
