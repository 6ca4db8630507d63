import type { OnReadOpts, Socket } from 'node:net';
import { Duplex } from 'node:stream';
import type { TransferLimits } from '../settings.ts';
import { WideBody } from './wide-body.ts';

/** So much is read at once where so much is there. */
const BUFFER_BYTES = 1024 * 1024;
/** With less room than this the next buffer is begun. */
const LEAST_ROOM_BYTES = 64 * 1024;
const HEAD_END = Buffer.from('\r\n\r\n');

/**
 * A connection whose bytes are read into large buffers. Heads of answers go to `node:http`, which speaks over it; then somebody says
 * what the body is: taken as it comes, past the parser and without a copy, or passed on to it as well.
 */
export class WideConnection extends Duplex {
  /** To be given to the socket when it is made. */
  readonly onread: OnReadOpts = {
    buffer: () => this.#room(),
    callback: (bytes, buffer) => this.#arrived(Buffer.from(buffer.buffer, buffer.byteOffset, bytes)),
  };
  #socket: Socket | undefined;
  #buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  #filled = 0;
  #state: 'head' | 'held' | 'passing' | 'body' = 'head';
  /** The last bytes of the head so far: its end may be cut in two. */
  #tail: Buffer = Buffer.alloc(0);
  #held: Buffer = Buffer.alloc(0);
  #body: WideBody | undefined;
  #isGivingHead = false;

  /** Goes over this socket, which was made with `onread`. */
  over(socket: Socket): this {
    this.#socket = socket;
    socket.on('end', () => this.#ended());
    socket.on('error', (error) => this.destroy(error));
    socket.on('close', () => this.destroy());
    socket.resume();
    return this;
  }

  get remoteAddress(): string | undefined {
    return this.#socket?.remoteAddress;
  }

  get bytesRead(): number {
    return this.#socket?.bytesRead ?? 0;
  }

  /** After a head that was not the last one. */
  nextHead(): void {
    this.#goOn('head');
  }

  /** After a head: what follows is for `node:http`. */
  passOn(): void {
    this.#goOn('passing');
  }

  /** After a head: the next `bytes` are the body. */
  takeBody(bytes: number, url: string, limits: TransferLimits): WideBody {
    const body = new WideBody({
      bytes,
      url,
      limits,
      resume: () => this.#socket?.resume(),
      destroy: () => this.destroy(),
    });
    this.#body = body;
    this.#goOn('body');
    return body;
  }

  override _read(): void {
    if (this.#state === 'passing') this.#socket?.resume();
  }

  override _write(chunk: Uint8Array, _encoding: string, done: (error?: Error | null) => void): void {
    this.#socket?.write(chunk, done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#body?.ended(error ?? undefined);
    this.#socket?.destroy();
    done(error);
  }

  get #isHeld(): boolean {
    return this.#state === 'held';
  }

  #goOn(state: 'head' | 'passing' | 'body'): void {
    this.#state = state;
    if (!this.#isGivingHead && this.#takeHeld()) this.#socket?.resume();
  }

  #takeHeld(): boolean {
    const held = this.#held;
    this.#held = Buffer.alloc(0);
    return held.byteLength === 0 || this.#take(held);
  }

  #room(): Uint8Array {
    if (BUFFER_BYTES - this.#filled < LEAST_ROOM_BYTES) {
      this.#buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
      this.#filled = 0;
    }
    return this.#buffer.subarray(this.#filled);
  }

  /** False: the socket is to wait. */
  #arrived(piece: Buffer): boolean {
    this.#filled += piece.byteLength;
    return this.#take(piece);
  }

  #take(piece: Buffer): boolean {
    switch (this.#state) {
      case 'head':
        return this.#takeHead(piece);
      case 'held':
        this.#held = Buffer.concat([this.#held, piece]);
        return false;
      case 'passing':
        return this.push(piece);
      case 'body':
        return this.#body?.arrived(piece) ?? false;
    }
  }

  #takeHead(piece: Buffer): boolean {
    const seen = Buffer.concat([this.#tail, piece]);
    const at = seen.indexOf(HEAD_END);
    if (at < 0) {
      this.#tail = seen.subarray(-HEAD_END.byteLength + 1);
      this.push(piece);
      return true;
    }
    const bytes = at + HEAD_END.byteLength - this.#tail.byteLength;
    this.#state = 'held';
    this.#tail = Buffer.alloc(0);
    this.#held = piece.subarray(bytes);
    // The parser may ask for what follows while it is at the head: it gets that afterwards.
    this.#isGivingHead = true;
    this.push(piece.subarray(0, bytes));
    this.#isGivingHead = false;
    return !this.#isHeld && this.#takeHeld();
  }

  #ended(): void {
    if (this.#state === 'body') this.#body?.ended(undefined);
    else this.push(null);
  }
}
