import type { RequestListener } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { after, type TestContext } from 'node:test';
import { createSecureContext, type TlsOptions } from 'node:tls';
import { inspect } from 'node:util';
import type { TransferLimits } from '../../src/settings.ts';
import { Network } from '../../src/transfer/network.ts';
import { startAuthority, type Authority, type Certificate } from '../support/authority.ts';
import { startForwardProxy, type ForwardProxy, type ForwardProxyOptions } from '../support/forward-proxy.ts';
import { startHttpServer, type HttpServer } from '../support/http-server.ts';
import { startRawServer, type RawServer } from '../support/raw-server.ts';
import { startSocksServer, type SocksServer, type SocksServerOptions } from '../support/socks-server.ts';

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

/** Everything that could be shown of an error: messages, hints and every field of it and of its causes. */
export function everythingOf(error: unknown): string {
  return `${inspect(error, { depth: 10, showHidden: true, maxStringLength: null })}\n${JSON.stringify(error)}`;
}

/** A web server with TLS that ends with the test. */
export async function serveTls(
  t: TestContext,
  certificate: Certificate & { readonly SNICallback?: SniCallback },
  handler: RequestListener,
): Promise<{ readonly port: number; readonly origin: string; readonly open: ReadonlySet<Socket> }> {
  const open = new Set<Socket>();
  const server = createServer(certificate, handler);
  server.on('connection', (socket: Socket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket));
  });
  server.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(async () => {
    server.closeAllConnections();
    for (const socket of open) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  const { port } = server.address() as AddressInfo;
  return { port, origin: `https://127.0.0.1:${port}`, open };
}

type SniCallback = NonNullable<TlsOptions['SNICallback']>;

/** Lets a server with TLS prove other names too. */
export function sni(certificates: Readonly<Record<string, Certificate>>): SniCallback {
  return (name, callback) => {
    const certificate = certificates[name];
    callback(null, certificate === undefined ? undefined : createSecureContext(certificate));
  };
}

/** An authority that ends with the test, or with the tests of its file. */
export async function authority(t?: TestContext): Promise<Authority> {
  const started = await startAuthority();
  (t?.after.bind(t) ?? after)(() => started.close());
  return started;
}

/** A forward proxy that ends with the test. */
export async function proxied(t: TestContext, options: ForwardProxyOptions): Promise<ForwardProxy> {
  const proxy = await startForwardProxy(options);
  t.after(() => proxy.close());
  return proxy;
}

/** A SOCKS server that ends with the test. */
export async function socks(t: TestContext, options: SocksServerOptions): Promise<SocksServer> {
  const server = await startSocksServer(options);
  t.after(() => server.close());
  return server;
}
