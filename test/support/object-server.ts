import type { IncomingMessage, ServerResponse } from 'node:http';
import { startHttpServer, type HttpServer } from './http-server.ts';

/** How one object is served; every request sees what holds then. */
export interface ObjectBehaviour {
  content: Uint8Array;
  /** With its quotes; empty: none. */
  etag: string;
  servesRanges: boolean;
  /** Every answer breaks after so many bytes. */
  cutAfter: number;
  /** Every answer says no more after so many bytes. */
  stallAfter: number;
  /** This status in place of an answer. */
  status: number;
  /** Serves parts whatever `If-Range` and `If-Match` say. */
  ignoresConditions: boolean;
  /** Moves every range that is served. */
  shift: number;
  /** No part is larger, however much was asked for. */
  partBytes: number;
  /** Parts do not say of how much they are one (`bytes 0-99/*`). */
  hidesTotal: boolean;
  /** Whole objects are sent in chunks, without their length. */
  hidesLength: boolean;
}

export interface ObjectServer extends HttpServer {
  readonly behaviour: ObjectBehaviour;
  /** `Range` and `If-Range` of every request. */
  readonly asked: string[];
  /** Bytes of bodies that were written. */
  sentBytes: number;
  /** The most requests that were answered at once. */
  mostAtOnce: number;
}

/** Serves one object under every path. */
export async function startObjectServer(
  content: Uint8Array,
  behaviour: Partial<ObjectBehaviour> = {},
): Promise<ObjectServer> {
  let atOnce = 0;
  const server = await startHttpServer((request, response) => {
    atOnce += 1;
    object.mostAtOnce = Math.max(object.mostAtOnce, atOnce);
    response.on('close', () => (atOnce -= 1));
    answer(request, response);
  });

  function answer(request: IncomingMessage, response: ServerResponse): void {
    const { content, etag, servesRanges, cutAfter, stallAfter, status, shift, ignoresConditions } = object.behaviour;
    const { partBytes, hidesTotal, hidesLength } = object.behaviour;
    const { range, 'if-range': ifRange, 'if-match': ifMatch } = request.headers;
    object.asked.push([range, ifRange].filter((one) => one !== undefined).join(' '));
    const isOther = (condition: unknown): boolean =>
      condition !== undefined && condition !== etag && !ignoresConditions;
    const failure = isOther(ifMatch) ? 412 : status;
    if (failure !== 200) {
      response.writeHead(failure).end();
      return;
    }
    if (etag !== '') response.setHeader('etag', etag);
    const found = /^bytes=(\d+)-(\d*)$/.exec(range ?? '');
    const isPart = servesRanges && found !== null && !isOther(ifRange);
    const start = isPart ? Number(found[1]) + shift : 0;
    const wantedEnd = isPart && found[2] ? Math.min(Number(found[2]) + 1, content.byteLength) : content.byteLength;
    const end = isPart ? Math.min(wantedEnd, start + partBytes) : wantedEnd;
    if (isPart && start >= content.byteLength) {
      response.writeHead(416).end();
      return;
    }
    if (servesRanges) response.setHeader('accept-ranges', 'bytes');
    if (isPart || !hidesLength) response.setHeader('content-length', end - start);
    const total = hidesTotal ? '*' : content.byteLength;
    if (isPart) response.writeHead(206, { 'content-range': `bytes ${start}-${end - 1}/${total}` });
    const stop = Math.min(end, start + cutAfter, start + stallAfter);
    object.sentBytes += stop - start;
    response.write(content.subarray(start, stop), () => {
      if (stop === end) response.end();
      else if (stop === start + cutAfter) setTimeout(() => response.destroy(), 20);
    });
  }

  const object: ObjectServer = {
    ...server,
    behaviour: {
      content,
      etag: '"v1"',
      servesRanges: true,
      cutAfter: Infinity,
      stallAfter: Infinity,
      status: 200,
      ignoresConditions: false,
      shift: 0,
      partBytes: Infinity,
      hidesTotal: false,
      hidesLength: false,
      ...behaviour,
    },
    asked: [],
    sentBytes: 0,
    mostAtOnce: 0,
  };
  return object;
}
