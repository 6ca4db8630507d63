import { createServer, request, type IncomingHttpHeaders } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { connect, type AddressInfo, type Socket } from 'node:net';
import type { Certificate } from './authority.ts';

/** A proxy on loopback, like those of companies: CONNECT, and requests in absolute form. */
export interface ForwardProxy {
  /** `http://127.0.0.1:<port>`, or `https:`. */
  readonly url: string;
  readonly port: number;
  /** What it was asked for: `CONNECT images.test:443`, `GET http://images.test/x`. */
  readonly asked: readonly string[];
  /** The header fields of every request, in order. */
  readonly headers: readonly IncomingHttpHeaders[];
  /** Connections to it that are open now. */
  readonly open: ReadonlySet<Socket>;
  close(): Promise<void>;
}

export interface ForwardProxyOptions {
  /** Port on loopback that stands for every host and port. */
  readonly to: number;
  /** `user:password` that is asked for. */
  readonly auth?: string;
  /** Written instead of an answer to CONNECT; `''`: nothing ever. */
  readonly answersConnect?: string;
  /** It answers CONNECT no earlier. */
  readonly opensAfter?: Promise<void>;
  /** It is spoken to over TLS. */
  readonly certificate?: Certificate;
}

/** Starts a forward proxy on a free port of loopback. */
export async function startForwardProxy(options: ForwardProxyOptions): Promise<ForwardProxy> {
  const { to, auth, answersConnect, opensAfter, certificate } = options;
  const asked: string[] = [];
  const headers: IncomingHttpHeaders[] = [];
  const open = new Set<Socket>();
  const expected = auth === undefined ? undefined : `Basic ${Buffer.from(auth).toString('base64')}`;
  const server = certificate === undefined ? createServer() : createTlsServer(certificate);
  server.on('connection', (socket: Socket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket));
    socket.on('error', () => undefined);
  });
  server.on('connect', (incoming, client: Socket) => {
    asked.push(`CONNECT ${incoming.url ?? ''}`);
    headers.push(incoming.headers);
    client.on('error', () => undefined);
    client.on('end', () => client.end()).resume();
    if (answersConnect !== undefined) {
      client.write(answersConnect);
    } else if (expected !== undefined && incoming.headers['proxy-authorization'] !== expected) {
      client.end('HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n');
    } else {
      const target = connect(to, '127.0.0.1', () => {
        void Promise.resolve(opensAfter).then(() => {
          client.write('HTTP/1.1 200 Connection established\r\n\r\n');
          client.pipe(target).pipe(client);
        });
      });
      target.on('error', () => client.destroy());
      client.on('close', () => target.destroy());
      target.on('close', () => client.destroy());
    }
  });
  server.on('request', (incoming, response) => {
    asked.push(`${incoming.method ?? ''} ${incoming.url ?? ''}`);
    headers.push(incoming.headers);
    if (expected !== undefined && incoming.headers['proxy-authorization'] !== expected) {
      response.writeHead(407, { 'proxy-authenticate': 'Basic' }).end();
      return;
    }
    const { pathname, search, host } = new URL(incoming.url ?? '');
    const { 'proxy-authorization': _, ...kept } = incoming.headers;
    const outgoing = request({ host: '127.0.0.1', port: to, path: pathname + search, headers: { ...kept, host } });
    outgoing.on('error', () => response.destroy());
    outgoing.on('response', (answer) => {
      response.writeHead(answer.statusCode ?? 0, answer.headers);
      answer.pipe(response);
    });
    outgoing.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `${certificate === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    port,
    asked,
    headers,
    open,
    close: async () => {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
