import { connect, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { startFaultyServer, type FaultyServer, type FaultyServerOptions } from 'smartvm/testing';

/** What came over a socket, byte by byte, and how it ended. */
export interface Received {
  /** Latin1. */
  readonly text: string;
  readonly head: string;
  /** What came after the empty line. */
  readonly body: string;
  readonly end: 'FIN' | 'RST' | 'open';
  readonly tookMs: number;
}

export interface AskOptions {
  readonly method?: string;
  readonly headers?: readonly string[];
  /** Leaves the connection open after the answer, and stops listening when nothing comes for a while. Default false. */
  readonly keepAlive?: boolean;
  /** Stops listening when so much has come. */
  readonly enoughBytes?: number;
}

export const CONTENT = 'abcdefghijklmnopqrstuvwxyz'.repeat(100);

/** A server with CONTENT under `/f`, which ends with the test. */
export async function serverFor(t: TestContext, options: FaultyServerOptions = {}): Promise<FaultyServer> {
  const server = await startFaultyServer({ files: { '/f': CONTENT }, ...options });
  t.after(() => server.close());
  return server;
}

/** Sends one request on a connection of its own. */
export async function ask(server: FaultyServer, path = '/f', options: AskOptions = {}): Promise<Received> {
  const { method = 'GET', headers = [], keepAlive = false, enoughBytes } = options;
  const wish = keepAlive ? [] : ['Connection: close'];
  const request = [`${method} ${path} HTTP/1.1`, 'Host: h', ...wish, ...headers, '', ''].join('\r\n');
  return await talk(server, request, { patienceMs: keepAlive ? 700 : 10_000, enoughBytes });
}

/** Sends these bytes, and keeps what comes. */
export async function talk(
  server: FaultyServer,
  sent: string,
  { patienceMs = 10_000, enoughBytes = Infinity }: { patienceMs?: number; enoughBytes?: number | undefined } = {},
): Promise<Received> {
  const beganMs = performance.now();
  const to = { host: '127.0.0.1', port: server.port };
  const socket: Socket = server.origin.startsWith('https')
    ? connectTls({ ...to, rejectUnauthorized: false })
    : connect(to);
  let text = '';
  const end = await new Promise<Received['end']>((resolve) => {
    const timer = setTimeout(() => resolve('open'), patienceMs);
    const over = (how: Received['end']): void => {
      clearTimeout(timer);
      resolve(how);
    };
    socket.on('data', (bytes) => {
      timer.refresh();
      text += bytes.toString('latin1');
      if (text.length >= enoughBytes) over('open');
    });
    socket.on('end', () => over('FIN'));
    socket.on('error', () => over('RST'));
    socket.write(sent);
  });
  const tookMs = performance.now() - beganMs;
  socket.destroy();
  const empty = text.indexOf('\r\n\r\n');
  const [head, body] = empty === -1 ? [text, ''] : [text.slice(0, empty), text.slice(empty + 4)];
  return { text, head, body, end, tookMs };
}
