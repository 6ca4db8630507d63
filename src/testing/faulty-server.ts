import { createServer, type AddressInfo, type Socket } from 'node:net';
import { TLSSocket, createSecureContext } from 'node:tls';
import { serve, type Behaviour } from './behaviour.ts';
import { Connection } from './connection.ts';
import { parseHead, type ReceivedRequest } from './received-request.ts';
import { send } from './send.ts';
import { fileOf, properAnswer, type ServedFile } from './served-file.ts';

export interface FaultyServerOptions {
  /** What it serves, by path. */
  readonly files?: Readonly<Record<string, Uint8Array | string>> | undefined;
  /** What goes wrong from the beginning, by path; as `script` takes it. */
  readonly scripts?: Readonly<Record<string, readonly Behaviour[]>> | undefined;
  /** Key and certificate in PEM: then it speaks TLS, and nothing else. */
  readonly tls?: { readonly key: string | Uint8Array; readonly cert: string | Uint8Array } | undefined;
}

/** A web server on loopback that goes wrong as it is told. */
export interface FaultyServer extends AsyncDisposable {
  /** `http://127.0.0.1:<port>`, or `https:`. */
  readonly origin: string;
  readonly port: number;
  /** Every request in the order in which they came. */
  readonly requests: readonly ReceivedRequest[];
  readonly connections: ConnectionCounts;
  /** The address of a path. */
  url(path: string): string;
  /** The requests for one path. */
  requestsFor(path: string): readonly ReceivedRequest[];
  /** Serves this file from now on, and returns its address. */
  put(path: string, file: Uint8Array | string | Partial<ServedFile>): string;
  /** Serves no such file any more. */
  remove(path: string): void;
  /**
   * What happens to the first, the second, … request for this path from now on; the last behaviour goes on for ever, and none means
   * that nothing goes wrong. `*` stands for every path without a script of its own.
   */
  script(path: string, behaviours: readonly Behaviour[]): void;
  /** Ends the server and every connection. Rejects when a behaviour threw. */
  close(): Promise<void>;
}

export interface ConnectionCounts {
  /** Since the beginning. */
  readonly total: number;
  /** Now. */
  readonly open: number;
  /** At any one time. */
  readonly most: number;
}

/** Starts a server on a free port of 127.0.0.1. Files are served as RFC 9110 says until a script says something else. */
export async function startFaultyServer(options: FaultyServerOptions = {}): Promise<FaultyServer> {
  const { files = {}, scripts = {}, tls } = options;
  const server = new Server();
  await server.listen(tls && createSecureContext({ key: bufferOf(tls.key), cert: bufferOf(tls.cert) }));
  for (const [path, content] of Object.entries(files)) server.put(path, content);
  for (const [path, behaviours] of Object.entries(scripts)) server.script(path, behaviours);
  return server;
}

type SecureContext = ReturnType<typeof createSecureContext>;

class Server implements FaultyServer {
  readonly requests: ReceivedRequest[] = [];
  readonly connections = { total: 0, open: 0, most: 0 };
  readonly #files = new Map<string, ServedFile>();
  readonly #scripts = new Map<string, readonly Behaviour[]>();
  /** How many requests there were, by path. */
  readonly #counts = new Map<string, number>();
  readonly #open = new Map<Connection, Promise<void>>();
  readonly #failures: unknown[] = [];
  readonly #listener = createServer((socket) => this.#accept(socket));
  #secureContext: SecureContext | undefined;

  async listen(secureContext: SecureContext | undefined): Promise<void> {
    this.#secureContext = secureContext;
    await new Promise<void>((resolve, reject) => {
      this.#listener.once('error', reject);
      this.#listener.listen(0, '127.0.0.1', resolve);
    });
  }

  get port(): number {
    return (this.#listener.address() as AddressInfo).port;
  }

  get origin(): string {
    return `${this.#secureContext === undefined ? 'http' : 'https'}://127.0.0.1:${this.port}`;
  }

  url(path: string): string {
    return `${this.origin}${path}`;
  }

  requestsFor(path: string): readonly ReceivedRequest[] {
    return this.requests.filter((request) => request.path === path);
  }

  put(path: string, file: Uint8Array | string | Partial<ServedFile>): string {
    const isContent = typeof file === 'string' || file instanceof Uint8Array;
    this.#files.set(path, isContent ? fileOf(file) : { ...fileOf(file.content ?? ''), ...file });
    return this.url(path);
  }

  remove(path: string): void {
    this.#files.delete(path);
  }

  script(path: string, behaviours: readonly Behaviour[]): void {
    this.#scripts.set(path, behaviours);
    const concerned = path === '*' ? [...this.#counts.keys()].filter((known) => !this.#scripts.has(known)) : [path];
    for (const one of concerned) this.#counts.delete(one);
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#listener.close(resolve));
    const ended = [...this.#open.values()];
    for (const connection of this.#open.keys()) connection.destroy();
    await Promise.all([closed, ...ended]);
    if (this.#failures.length > 0) throw this.#failures[0];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #accept(tcp: Socket): void {
    tcp.setNoDelay(true);
    const secureContext = this.#secureContext;
    const socket = secureContext === undefined ? tcp : new TLSSocket(tcp, { isServer: true, secureContext });
    this.connections.total += 1;
    const connection = new Connection(this.connections.total, tcp, socket);
    const ended = this.#converse(connection)
      .catch((error: unknown) => void this.#failures.push(error))
      .then(() => {
        connection.destroy();
        this.#open.delete(connection);
        this.connections.open = this.#open.size;
      });
    this.#open.set(connection, ended);
    this.connections.open = this.#open.size;
    this.connections.most = Math.max(this.connections.most, this.#open.size);
  }

  /** Answers one request after the other until the connection is over. */
  async #converse(connection: Connection): Promise<void> {
    for (;;) {
      const head = await connection.nextHead();
      if (head === undefined) return;
      const isReusable = await this.#answer(head, connection);
      if (!isReusable || /^connection: *close *$/im.test(head)) break;
    }
    connection.end();
    await connection.whenGone();
  }

  async #answer(head: string, connection: Connection): Promise<boolean> {
    const read = parseHead(head);
    const number = (this.#counts.get(read.path) ?? 0) + 1;
    this.#counts.set(read.path, number);
    const receivedAtMs = performance.now();
    const request = { ...read, number, connection: connection.number, receivedAtMs, bytesSent: 0 };
    this.requests.push(request);
    const behaviour = this.#behaviourFor(request);
    const file = this.#files.get(request.path);
    const served = file && (behaviour.file?.(file, request) ?? file);
    const proper = properAnswer(served, request);
    const answer = behaviour.answer?.(proper, request) ?? proper;
    const onSent = (bytes: number): void => void (request.bytesSent += bytes);
    return await send(answer, connection, { headOnly: request.method === 'HEAD', onSent });
  }

  #behaviourFor({ path, number }: ReceivedRequest): Behaviour {
    const script = this.#scripts.get(path) ?? this.#scripts.get('*') ?? [];
    return script[Math.min(number, script.length) - 1] ?? serve();
  }
}

function bufferOf(pem: string | Uint8Array): string | Buffer {
  return typeof pem === 'string' ? pem : Buffer.from(pem);
}
