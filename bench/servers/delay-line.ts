import type { Socket } from 'node:net';

export interface DelayOptions {
  readonly delayMs: number;
  /** Held back until so long after the connection was made. */
  readonly firstDelayMs: number;
  readonly windowBytes: number;
}

/** Ten segments (RFC 6928): what a new connection may have on its way. */
const FIRST_WINDOW_BYTES = 14_600;

/**
 * One direction of a connection. Bytes leave it `delayMs` after they came in, and are acknowledged as long after that; while a window's
 * worth of them is not, nothing more is read. The window grows by what is acknowledged, as in slow start.
 */
export class DelayLine {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #delayMs: number;
  readonly #windowBytes: number;
  readonly #opensAtMs: number;
  /** On their way, `undefined` for the end; and delivered, but not acknowledged yet. */
  readonly #travelling: { readonly dueMs: number; readonly piece: Uint8Array | undefined }[] = [];
  readonly #unacknowledged: { readonly dueMs: number; readonly bytes: number }[] = [];
  #window = FIRST_WINDOW_BYTES;
  #inFlight = 0;
  #isBlocked = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(from: Socket, to: Socket, { delayMs, firstDelayMs, windowBytes }: DelayOptions) {
    this.#from = from;
    this.#to = to;
    this.#delayMs = delayMs;
    this.#windowBytes = windowBytes;
    this.#opensAtMs = performance.now() + firstDelayMs;
    from.on('data', (piece) => this.#accept(piece));
    from.on('end', () => this.#accept(undefined));
    to.on('drain', () => {
      this.#isBlocked = false;
      this.#tick();
    });
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #accept(piece: Buffer | undefined): void {
    const dueMs = Math.max(performance.now(), this.#opensAtMs) + this.#delayMs;
    this.#travelling.push({ dueMs, piece });
    this.#inFlight += piece?.byteLength ?? 0;
    if (this.#inFlight >= this.#window) this.#from.pause();
    this.#arm();
  }

  #tick(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const nowMs = performance.now();
    this.#deliver(nowMs);
    while ((this.#unacknowledged[0]?.dueMs ?? Infinity) <= nowMs) {
      const { bytes } = this.#unacknowledged.shift() ?? { bytes: 0 };
      this.#inFlight -= bytes;
      this.#window = Math.min(this.#windowBytes, this.#window + bytes);
    }
    if (this.#inFlight < this.#window && this.#from.isPaused()) this.#from.resume();
    this.#arm();
  }

  #deliver(nowMs: number): void {
    let bytes = 0;
    this.#to.cork();
    while (!this.#isBlocked && (this.#travelling[0]?.dueMs ?? Infinity) <= nowMs) {
      const piece = this.#travelling.shift()?.piece;
      if (piece === undefined) this.#to.end();
      else this.#to.write(piece);
      bytes += piece?.byteLength ?? 0;
    }
    this.#to.uncork();
    this.#isBlocked = this.#to.writableNeedDrain;
    if (bytes > 0) this.#unacknowledged.push({ dueMs: nowMs + this.#delayMs, bytes });
  }

  #arm(): void {
    const delivery = this.#isBlocked ? Infinity : (this.#travelling[0]?.dueMs ?? Infinity);
    const nextMs = Math.min(delivery, this.#unacknowledged[0]?.dueMs ?? Infinity);
    if (this.#timer !== undefined || nextMs === Infinity) return;
    this.#timer = setTimeout(() => this.#tick(), Math.max(0, nextMs - performance.now()));
  }
}
