import type { Readable } from 'node:stream';
import { SmartVMError } from '../errors.ts';
import { shown } from './address.ts';
import type { TransferLimits } from '../settings.ts';

/** Ends a body that stalls or drips, with `TRANSFER_TIMEOUT`. Time in which the reader is busy is not the server's. */
export class PaceWatch {
  readonly #body: Readable;
  readonly #url: string;
  readonly #limits: TransferLimits;
  readonly #clock: NodeJS.Timeout;
  /** When the reader began to wait; `undefined` while it does not. */
  #waitingSinceMs: number | undefined = performance.now();
  #windowWaitedMs = 0;
  #windowBytes = 0;

  constructor(body: Readable, url: string, limits: TransferLimits) {
    this.#body = body;
    this.#url = url;
    this.#limits = limits;
    const shortestMs = Math.min(limits.idleTimeoutMs, limits.lowSpeedMs, 4000);
    this.#clock = setInterval(() => this.#look(), shortestMs / 4);
  }

  /** The reader got something and is busy with it. */
  saw(bytes: number): void {
    this.#windowBytes += bytes;
    this.#windowWaitedMs += this.#waitedMs();
    this.#waitingSinceMs = undefined;
  }

  /** The reader waits again. */
  resumed(): void {
    this.#waitingSinceMs = performance.now();
  }

  stop(): void {
    clearInterval(this.#clock);
  }

  #look(): void {
    if (this.#waitingSinceMs === undefined) return;
    const { idleTimeoutMs, lowSpeedMs, lowSpeedBytesPerSecond } = this.#limits;
    const silentMs = this.#waitedMs();
    const waitedMs = this.#windowWaitedMs + silentMs;
    const perSecond = Math.round((this.#windowBytes / waitedMs) * 1000);
    if (silentMs >= idleTimeoutMs) {
      this.#end(`sent nothing for ${idleTimeoutMs / 1000} s`);
    } else if (waitedMs >= lowSpeedMs) {
      if (perSecond < lowSpeedBytesPerSecond) {
        this.#end(
          `sent ${perSecond} bytes a second for ${lowSpeedMs / 1000} s, less than ${lowSpeedBytesPerSecond} is given up`,
        );
      }
      this.#windowBytes = 0;
      this.#windowWaitedMs = -silentMs;
    }
  }

  #waitedMs(): number {
    return this.#waitingSinceMs === undefined ? 0 : performance.now() - this.#waitingSinceMs;
  }

  #end(why: string): void {
    this.#body.destroy(
      new SmartVMError(`${shown(this.#url)} ${why}`, 'TRANSFER_TIMEOUT', {
        retryable: true,
        hint: 'Ask again, or use a nearer mirror.',
      }),
    );
  }
}
