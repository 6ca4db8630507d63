import { gzipSync } from 'node:zlib';
import { withHeader } from './answer.ts';
import type { Behaviour } from './behaviour.ts';
import { fileOf } from './served-file.ts';

/** Another file, with an ETag of its own: it was replaced. */
export function content(other: Uint8Array | string): Behaviour {
  const { content: bytes, etag } = fileOf(other);
  return { file: (file) => ({ ...file, content: bytes, etag }) };
}

/** This ETag, whatever the content; quotes are part of it. */
export function etag(text: string): Behaviour {
  return { file: (file) => ({ ...file, etag: text }) };
}

export function noEtag(): Behaviour {
  return { file: (file) => ({ ...file, etag: undefined }) };
}

/** The same ETag, said to be weak: it proves no bytes. */
export function weakEtag(): Behaviour {
  return { file: (file) => ({ ...file, etag: file.etag && `W/${file.etag}` }) };
}

/** Another strong ETag for every request, as from replicas that do not agree. */
export function changingEtag(): Behaviour {
  return { file: (file, { number }) => ({ ...file, etag: `"version-${number}"` }) };
}

/** The whole file with status 200, whatever was asked for. */
export function ignoreRanges(): Behaviour {
  return { file: (file) => ({ ...file, hasRanges: false }) };
}

/** A `Content-Range` that says this, or something made of what it should say. */
export function contentRange(said: string | ((proper: string) => string)): Behaviour {
  return {
    answer: (answer) => {
      const proper = answer.headers.find(([name]) => name === 'Content-Range')?.[1] ?? '';
      return withHeader(answer, 'Content-Range', typeof said === 'string' ? said : said(proper));
    },
  };
}

/** `Content-Encoding: gzip`, asked for or not. */
export function gzipped(): Behaviour {
  return { answer: (answer) => withHeader({ ...answer, body: gzipSync(answer.body) }, 'Content-Encoding', 'gzip') };
}
