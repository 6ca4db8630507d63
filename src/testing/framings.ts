import { withHeader } from './answer.ts';
import type { Behaviour } from './behaviour.ts';

/** A `Content-Length` that says this, or something made of the true length; all of the body is sent, and the connection closed. */
export function contentLength(said: number | string | ((bodyBytes: number) => number)): Behaviour {
  return {
    answer: (answer) =>
      withHeader(answer, 'Content-Length', String(typeof said === 'function' ? said(answer.body.byteLength) : said)),
  };
}

/** No length at all: the end of the connection is the end of the body. */
export function noContentLength(): Behaviour {
  return { answer: (answer) => ({ ...answer, framing: 'close' }) };
}

/** In chunks. `truncate`, `reset` and `stall` count bytes of the body, so that they also end inside a chunk, or before the last. */
export function chunked({ chunkBytes = 16 * 1024 }: { readonly chunkBytes?: number } = {}): Behaviour {
  return { answer: (answer) => ({ ...answer, framing: 'chunked', chunkBytes }) };
}

/** Bytes after the end of the body, on the same connection. */
export function extraBytes(bytes: number): Behaviour {
  return { answer: (answer) => ({ ...answer, extra: new Uint8Array(bytes).fill(0x78) }) };
}

/** Two lengths that differ. */
export function twoLengths(): Behaviour {
  return {
    answer: (answer) => {
      const bytes = answer.body.byteLength;
      const lengths = [bytes, bytes + 1].map((length) => ['Content-Length', String(length)] as const);
      return { ...answer, headers: [...answer.headers, ...lengths] };
    },
  };
}

export function negativeLength(): Behaviour {
  return contentLength(-5);
}

/** A length and chunks, which RFC 9112 forbids: readers disagree about where such a body ends. */
export function lengthAndChunked(): Behaviour {
  return {
    answer: (answer) => ({
      ...withHeader(answer, 'Content-Length', String(answer.body.byteLength)),
      framing: 'chunked',
    }),
  };
}
