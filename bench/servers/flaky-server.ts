import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { manifestText, type Images } from './images.ts';

/** Serves two images, and fails half of what it is asked: with 503, or with a reset at some byte of the body. */
export interface FlakyServer {
  /** Every run has addresses of its own, and with them failures of its own. */
  manifestUrl(run: number): string;
  /** Bytes of bodies of images that were handed over to be sent. */
  readonly movedBytes: number;
  readonly requests: number;
  readonly failures: number;
  close(): Promise<void>;
}

/** `undefined`: answer as it should be. A part of 1: break after so much of the body. */
type Fate =
  { readonly kind: 'answer' } | { readonly kind: 'refuse' } | { readonly kind: 'reset'; readonly after: number };

/** What becomes of a request depends on the seed, the address and how often it was asked, and not on when it comes. */
export async function startFlakyServer(folder: string, images: Images, seed: string): Promise<FlakyServer> {
  const asked = new Map<string, number>();
  const count = { movedBytes: 0, requests: 0, failures: 0 };
  const files = new Map([images.kernel, images.rootfs].map((file) => [file.fileName, file]));
  let origin = '';

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? '/';
    const times = (asked.get(path) ?? 0) + 1;
    asked.set(path, times);
    const fate = fateOf(`${seed} ${path} ${times}`);
    count.requests += 1;
    if (fate.kind !== 'answer') count.failures += 1;
    if (fate.kind === 'refuse') {
      response.writeHead(503).end();
      return;
    }
    const [, run = '', name = ''] = path.split('/');
    const file = files.get(name);
    if (file === undefined) {
      const text = Buffer.from(manifestText(images, `${origin}/${run}`));
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': text.byteLength });
      await send(response, [text], cutAt(fate, text.byteLength));
      return;
    }
    const start = rangeStart(request, `"${file.sha256}"`);
    const end = Math.min(rangeEnd(request) ?? file.bytes, file.bytes);
    response.writeHead(request.headers.range === undefined ? 200 : 206, {
      'content-type': 'application/octet-stream',
      'accept-ranges': 'bytes',
      etag: `"${file.sha256}"`,
      'content-length': end - start,
      ...(request.headers.range === undefined ? {} : { 'content-range': `bytes ${start}-${end - 1}/${file.bytes}` }),
    });
    const body = createReadStream(join(folder, name), { start, end: end - 1, highWaterMark: 256 * 1024 });
    await send(response, body, cutAt(fate, end - start), (bytes) => (count.movedBytes += bytes));
  }

  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    manifestUrl: (run) => `${origin}/${run}/manifest.json`,
    get movedBytes() {
      return count.movedBytes;
    },
    get requests() {
      return count.requests;
    },
    get failures() {
      return count.failures;
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function fateOf(request: string): Fate {
  const lot = createHash('sha256').update(request).digest();
  if (lot.readUInt8(0) < 128) return { kind: 'answer' };
  return lot.readUInt8(1) < 128 ? { kind: 'refuse' } : { kind: 'reset', after: lot.readUInt32BE(2) / 2 ** 32 };
}

function cutAt(fate: Fate, bytes: number): number | undefined {
  return fate.kind === 'reset' ? Math.floor(fate.after * bytes) : undefined;
}

function rangeStart({ headers }: IncomingMessage, etag: string): number {
  const ifRange = headers['if-range'];
  if (ifRange !== undefined && ifRange !== etag)
    throw new Error(`the bench never changes its files, and got ${String(ifRange)}`);
  return Number(/^bytes=(\d+)-/.exec(headers.range ?? '')?.[1] ?? 0);
}

function rangeEnd({ headers }: IncomingMessage): number | undefined {
  const last = /-(\d+)$/.exec(headers.range ?? '')?.[1];
  return last === undefined ? undefined : Number(last) + 1;
}

/** Sends a body, or the part of it before it is cut, and tells of every piece. */
async function send(
  response: ServerResponse,
  body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  cutAfter = Infinity,
  onBytes: (bytes: number) => void = () => undefined,
): Promise<void> {
  let sent = 0;
  for await (const piece of body) {
    const part = piece.subarray(0, Math.min(piece.byteLength, cutAfter - sent));
    if (response.destroyed) return;
    onBytes(part.byteLength);
    await new Promise((resolve) => response.write(part, resolve));
    sent += part.byteLength;
    if (sent >= cutAfter) break;
  }
  if (cutAfter === Infinity) response.end();
  else response.socket?.resetAndDestroy();
}
