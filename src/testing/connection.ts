import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { setTimeout as sleep } from 'node:timers/promises';

/** Longer heads are nobody's whom we test. */
const MAX_HEAD_BYTES = 256 * 1024;
/** How long what was sent may take to arrive before a connection is broken. */
const BEFORE_RESET_MS = 100;

/** One connection: the heads of its requests one after another, and whatever is to be written. */
export class Connection {
  /** 1 for the first connection of the server. */
  readonly number: number;
  readonly #tcp: Socket;
  readonly #socket: Socket | TLSSocket;
  readonly #gone = new AbortController();
  #received = '';
  #bodyBytes = 0;
  #wake: () => void = () => undefined;

  /** `socket` is what is spoken over: `tcp` itself, or TLS on top of it. */
  constructor(number: number, tcp: Socket, socket: Socket | TLSSocket) {
    this.number = number;
    this.#tcp = tcp;
    this.#socket = socket;
    tcp.on('error', () => undefined);
    socket.on('error', () => tcp.destroy());
    socket.on('close', () => this.#close());
    tcp.on('close', () => this.#close());
    socket.on('data', (bytes: Buffer) => {
      this.#received += bytes.toString('latin1');
      if (this.#received.length > MAX_HEAD_BYTES) tcp.destroy();
      this.#wake();
    });
  }

  /** Aborted when the connection is gone, whoever ended it. */
  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  /** The head of the next request, without the empty line after it; `undefined` when none comes any more. */
  async nextHead(): Promise<string | undefined> {
    while (!this.gone.aborted) {
      const skipped = Math.min(this.#bodyBytes, this.#received.length);
      this.#bodyBytes -= skipped;
      this.#received = this.#received.slice(skipped);
      const end = this.#received.indexOf('\r\n\r\n');
      if (end !== -1) {
        const head = this.#received.slice(0, end);
        this.#received = this.#received.slice(end + 4);
        this.#bodyBytes = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
        return head;
      }
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    return undefined;
  }

  /** Resolves when the system has taken the bytes, or the connection is gone. */
  async write(bytes: Uint8Array | string): Promise<void> {
    if (bytes.length === 0 || this.gone.aborted) return;
    await this.#whenDone((done) => {
      this.#socket.write(bytes, 'latin1', (error) => {
        // Closing takes a turn of the event loop, which whoever writes on and on would never let come.
        if (error) this.#close();
        done();
      });
    });
  }

  /** Waits; resolves at once when the connection is gone. */
  async pause(ms: number): Promise<void> {
    if (ms > 0) await sleep(ms, undefined, { signal: this.gone }).catch(() => undefined);
  }

  /** Resolves when the client has left. */
  async whenGone(): Promise<void> {
    await this.#whenDone(() => undefined);
  }

  end(): void {
    this.#socket.end();
  }

  async reset(): Promise<void> {
    await this.pause(BEFORE_RESET_MS);
    this.#tcp.resetAndDestroy();
  }

  destroy(): void {
    this.#tcp.destroy();
    this.#socket.destroy();
  }

  async #whenDone(begin: (done: () => void) => void): Promise<void> {
    if (this.gone.aborted) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        this.gone.removeEventListener('abort', done);
        resolve();
      };
      this.gone.addEventListener('abort', done);
      begin(done);
    });
  }

  #close(): void {
    this.#gone.abort();
    this.#wake();
  }
}
