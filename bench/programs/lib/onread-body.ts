import { readFileSync } from 'node:fs';
import { connect as connectPlain, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { HashedFile } from './hashed-file.ts';
import { readHead } from './response-head.ts';

export interface OnreadOptions {
  readonly certPath: string | undefined;
  readonly writesBehind: boolean;
}

const BUFFER_BYTES = 1024 ** 2;
/** One that fills, one that is written, and two so that neither waits for the other. */
const BUFFERS = 4;
/** A buffer with less room than this is written: reading into little room costs a call for little. */
const LEAST_ROOM_BYTES = 64 * 1024;

/**
 * Fetches one body with nothing between the socket and a few large buffers: bytes are received where they are hashed and written from.
 * Understands no more of HTTP than an answer with a length.
 */
export class OnreadBody {
  readonly #file: HashedFile;
  readonly #writesBehind: boolean;
  readonly #free: Buffer[] = [];
  readonly #full: Uint8Array[] = [];
  readonly #socket: Socket;
  readonly #done: Promise<void>;
  #buffer: Buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  #filled = 0;
  /** Where the body begins in this buffer: after the head in the first one, else at 0. */
  #begin = 0;
  /** Bytes of the body that are still to come; `undefined` before the head was read. */
  #left: number | undefined;
  #isWriting = false;
  #resolve: () => void = () => undefined;
  #reject: (reason: unknown) => void = () => undefined;

  constructor(url: URL, file: HashedFile, { certPath, writesBehind }: OnreadOptions) {
    this.#file = file;
    this.#writesBehind = writesBehind;
    while (this.#free.length < BUFFERS - 1) this.#free.push(Buffer.allocUnsafeSlow(BUFFER_BYTES));
    this.#done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    const options = {
      host: url.hostname,
      port: Number(url.port),
      onread: { buffer: () => this.#buffer.subarray(this.#filled), callback: (bytes: number) => this.#received(bytes) },
    };
    this.#socket =
      certPath === undefined ? connectPlain(options) : connectTls({ ...options, ca: readFileSync(certPath, 'utf8') });
    this.#socket.on('error', this.#reject);
    this.#socket.on('close', () => {
      if (this.#left !== 0) this.#reject(new Error(`${url.href} ended ${this.#left ?? 'some'} bytes too early`));
    });
    this.#socket.write(
      `GET ${url.pathname} HTTP/1.1\r\nHost: ${url.host}\r\nAccept-Encoding: identity\r\nConnection: close\r\n\r\n`,
    );
  }

  /** Resolves when the last byte was written. */
  async end(): Promise<void> {
    await this.#done;
    this.#socket.destroy();
  }

  /** False: read no more until told. */
  #received(bytes: number): boolean {
    this.#filled += bytes;
    try {
      if (this.#left === undefined) this.#readHead();
      else this.#left -= bytes;
      if (this.#left === undefined) return true;
      const isOver = this.#left <= 0;
      if (!isOver && BUFFER_BYTES - this.#filled >= LEAST_ROOM_BYTES) return true;
      return this.#flush() && !isOver;
    } catch (error) {
      this.#reject(error);
      return false;
    }
  }

  #readHead(): void {
    const head = readHead(this.#buffer.subarray(0, this.#filled));
    if (head === undefined) return;
    this.#begin = head.bytes;
    this.#left = head.bodyBytes - (this.#filled - head.bytes);
  }

  /** Has the buffer written; false when there is none to go on with. */
  #flush(): boolean {
    const bytes = this.#buffer.subarray(this.#begin, this.#filled);
    [this.#begin, this.#filled] = [0, 0];
    if (!this.#writesBehind) {
      this.#file.writeNow(bytes);
      if (this.#left === 0) this.#resolve();
      return true;
    }
    this.#full.push(bytes);
    const next = this.#free.pop();
    if (next === undefined) throw new Error('a buffer is free whenever the socket reads');
    this.#buffer = next;
    if (!this.#isWriting) void this.#writeFull();
    return this.#free.length > 0;
  }

  async #writeFull(): Promise<void> {
    this.#isWriting = true;
    for (let bytes = this.#full.shift(); bytes !== undefined; bytes = this.#full.shift()) {
      await this.#file.writeBehind(bytes).catch(this.#reject);
      this.#free.push(Buffer.from(bytes.buffer));
      this.#socket.resume();
    }
    this.#isWriting = false;
    if (this.#left === 0) this.#resolve();
  }
}
