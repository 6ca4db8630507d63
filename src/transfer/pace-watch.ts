import { SmartVMError } from '../errors.ts';
import type { TransferLimits } from '../settings.ts';
import { shown } from './address.ts';

/** Tells of a body that stalls or drips, with `TRANSFER_TIMEOUT`. Time in which nobody waits for it is not the server's. */
export class PaceWatch {
  readonly #url: string;
  readonly #limits: TransferLimits;
  readonly #tell: (tooSlow: SmartVMError) => void;
  readonly #clock: NodeJS.Timeout;
  /** When the reader began to wait; `undefined` while it does not. */
  #waitingSinceMs: number | undefined;
  #windowWaitedMs = 0;
  #windowBytes = 0;

  constructor(url: string, limits: TransferLimits, tell: (tooSlow: SmartVMError) => void) {
    this.#url = url;
    this.#limits = limits;
    this.#tell = tell;
    const shortestMs = Math.min(limits.idleTimeoutMs, limits.lowSpeedMs, 4000);
    this.#clock = setInterval(() => this.#look(), shortestMs / 4);
  }

  /** These bytes have come. */
  saw(bytes: number): void {
    this.#windowBytes += bytes;
    this.#windowWaitedMs += this.#waitedMs();
    this.#waitingSinceMs = undefined;
  }

  /** The reader waits for more. */
  waiting(): void {
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
    this.#tell(
      new SmartVMError(`${shown(this.#url)} ${why}`, 'TRANSFER_TIMEOUT', {
        retryable: true,
        hint: 'Ask again, or use a nearer mirror.',
      }),
    );
  }
}
