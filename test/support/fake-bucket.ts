import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { startHttpServer } from './http-server.ts';
import { listObjects } from './s3-listing.ts';

/** One object of a fake bucket. */
export interface FakeObject {
  readonly key: string;
  readonly content: Uint8Array;
  /** ISO 8601. */
  readonly lastModified: string;
  /** Size that the listing gives; differs from the content's only where a test is about the listing alone. */
  readonly listedBytes: number;
  /** With its quotes. */
  readonly etag: string;
}

export type FakeObjectOptions = Partial<Omit<FakeObject, 'key' | 'content'>>;

/** An S3 bucket and a releases page, spoken to over HTTP on loopback. */
export interface FakeBucket {
  readonly bucketUrl: string;
  readonly releasesUrl: string;
  /** Where the releases page redirects to: a tag, a path or an URL. */
  release: string;
  /** Keys and folders in one page of a listing. */
  pageSize: number;
  /** Every request in order: `GET <key>`, `LIST <prefix>`, `HEAD releases`. */
  readonly requests: string[];
  /** Called before every answer; answers itself when it returns true. */
  intercept: (request: IncomingMessage, response: ServerResponse) => boolean;
  put(key: string, content: Uint8Array | string, options?: FakeObjectOptions): FakeObject;
  remove(key: string): void;
  object(key: string): FakeObject;
  keys(): string[];
  close(): Promise<void>;
}

const BUCKET = 'spec.ccfc.min';
const RELEASES = '/firecracker-microvm/firecracker/releases';

/** Starts an empty bucket whose newest release is v1.17.0. */
export async function startFakeBucket(): Promise<FakeBucket> {
  const objects = new Map<string, FakeObject>();
  const requests: string[] = [];
  const server = await startHttpServer((request, response) => {
    if (!bucket.intercept(request, response)) answer(request, response);
  });

  function answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '/', server.origin);
    if (url.pathname.startsWith(RELEASES)) {
      answerRelease(request, response, url);
      return;
    }
    const path = decodeURIComponent(url.pathname);
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      fail(response, 405, 'MethodNotAllowed');
      return;
    }
    if (path === `/${BUCKET}` || path === `/${BUCKET}/`) {
      requests.push(`LIST ${url.searchParams.get('prefix') ?? ''}`);
      if (url.searchParams.get('list-type') !== '2') {
        fail(response, 400, 'InvalidArgument');
        return;
      }
      const text = listObjects(BUCKET, [...objects.values()], url.searchParams, bucket.pageSize);
      response.setHeader('content-type', 'application/xml').end(text);
      return;
    }
    const key = path.slice(BUCKET.length + 2);
    requests.push(`${request.method} ${key}`);
    const object = objects.get(key);
    if (object === undefined) {
      fail(response, 404, 'NoSuchKey', key);
      return;
    }
    answerObject(request, response, object);
  }

  function answerRelease(request: IncomingMessage, response: ServerResponse, url: URL): void {
    requests.push(`${request.method ?? ''} releases${url.pathname.slice(RELEASES.length)}`);
    if (url.pathname !== `${RELEASES}/latest`) {
      response.setHeader('content-type', 'text/html').end('<html>a release</html>');
      return;
    }
    const isTag = /^v[\w.-]+$/.test(bucket.release);
    response.writeHead(302, { location: isTag ? `${RELEASES}/tag/${bucket.release}` : bucket.release }).end();
  }

  const bucket: FakeBucket = {
    bucketUrl: `${server.origin}/${BUCKET}`,
    releasesUrl: `${server.origin}${RELEASES}/latest`,
    release: 'v1.17.0',
    pageSize: 1000,
    requests,
    intercept: () => false,
    put(key, text, options = {}) {
      const content = Buffer.from(text);
      const object: FakeObject = {
        key,
        content,
        lastModified: '2026-09-23T12:00:00.000Z',
        listedBytes: content.byteLength,
        etag: `"${createHash('md5').update(content).digest('hex')}"`,
        ...options,
      };
      objects.set(key, object);
      return object;
    },
    remove(key) {
      objects.delete(key);
    },
    object(key) {
      const object = objects.get(key);
      if (object === undefined) throw new Error(`the fake bucket has no ${key}`);
      return object;
    },
    keys: () => [...objects.keys()],
    close: () => server.close(),
  };
  return bucket;
}

function answerObject(request: IncomingMessage, response: ServerResponse, object: FakeObject): void {
  const { content, etag, lastModified } = object;
  const { 'if-match': ifMatch, 'if-range': ifRange, range } = request.headers;
  if (ifMatch !== undefined && ifMatch !== '*' && ifMatch !== etag) {
    fail(response, 412, 'PreconditionFailed', object.key);
    return;
  }
  response.setHeader('etag', etag);
  response.setHeader('last-modified', new Date(lastModified).toUTCString());
  response.setHeader('accept-ranges', 'bytes');
  response.setHeader('content-type', 'binary/octet-stream');
  const wanted = ifRange !== undefined && ifRange !== etag ? undefined : /^bytes=(\d+)-(\d*)$/.exec(range ?? '');
  let body = content;
  if (wanted) {
    const start = Number(wanted[1]);
    const end = wanted[2] ? Math.min(Number(wanted[2]) + 1, content.byteLength) : content.byteLength;
    if (start >= content.byteLength) {
      fail(response, 416, 'InvalidRange', object.key);
      return;
    }
    body = content.subarray(start, end);
    response.statusCode = 206;
    response.setHeader('content-range', `bytes ${start}-${end - 1}/${content.byteLength}`);
  }
  response.setHeader('content-length', body.byteLength);
  response.end(request.method === 'HEAD' ? undefined : body);
}

function fail(response: ServerResponse, status: number, code: string, key?: string): void {
  const keyed = key === undefined ? '' : `<Key>${key.replaceAll('&', '&amp;').replaceAll('<', '&lt;')}</Key>`;
  response.writeHead(status, { 'content-type': 'application/xml' });
  response.end(
    `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>fake: ${code}</Message>${keyed}` +
      '<RequestId>0000000000000000</RequestId><HostId>fake</HostId></Error>',
  );
}
