/** A request as it came. */
export interface ReceivedRequest {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  /** With its question mark; empty when there is none. */
  readonly query: string;
  /** By their lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  /** The `Range` header. */
  readonly range: string | undefined;
  /** 1 for the first request for this path, counted anew when the path is given another script. */
  readonly number: number;
  /** 1 for whatever came over the first connection. */
  readonly connection: number;
  /** On the clock of `performance.now()`. */
  readonly receivedAtMs: number;
  /** Bytes of the body, or of what was sent raw, that the system has taken so far. */
  readonly bytesSent: number;
}

/** The head of a request, read. */
export type RequestHead = Pick<ReceivedRequest, 'method' | 'path' | 'query' | 'headers' | 'range'>;

/** Reads the head of a request, without the empty line after it. */
export function parseHead(head: string): RequestHead {
  const [first = '', ...lines] = head.split('\r\n');
  const [method = '', target = ''] = first.split(' ');
  const url = new URL(target.startsWith('/') ? `http://host${target}` : target, 'http://host');
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const colon = line.indexOf(':');
    headers[line.slice(0, colon).trim().toLowerCase()] = line.slice(colon + 1).trim();
  }
  return { method, path: decoded(url.pathname), query: url.search, headers, range: headers['range'] };
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}
