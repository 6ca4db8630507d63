import type { TestContext } from 'node:test';
import type { Socket } from 'node:net';
import type { TransferLimits } from '../../src/settings.ts';
import { Network } from '../../src/transfer/network.ts';
import { startHttpServer, type HttpServer } from '../support/http-server.ts';
import { startRawServer, type RawServer } from '../support/raw-server.ts';
import type { RequestListener } from 'node:http';

export const network = new Network({ allowHttp: [] });

/** Limits short enough for a test, each of them changeable. */
export function shortLimits(limits: Partial<TransferLimits> = {}): Partial<TransferLimits> {
  return { connectTimeoutMs: 2000, firstByteTimeoutMs: 2000, idleTimeoutMs: 2000, retries: 0, ...limits };
}

/** A server that ends with the test. */
export async function serve(t: TestContext, handler: RequestListener): Promise<HttpServer> {
  const server = await startHttpServer(handler);
  t.after(() => server.close());
  return server;
}

/** A raw server that ends with the test. */
export async function serveRaw(
  t: TestContext,
  answer: (socket: Socket, head: string, count: number) => void | Promise<void>,
): Promise<RawServer> {
  const server = await startRawServer(answer);
  t.after(() => server.close());
  return server;
}

export async function bytesOf(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Waits until `isSo`, at most five seconds. */
export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  const endMs = performance.now() + 5000;
  while (!(await isSo())) {
    if (performance.now() > endMs) throw new Error(`waited in vain until ${isSo.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
