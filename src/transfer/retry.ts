import { setTimeout as sleep } from 'node:timers/promises';
import type { TransferLimits } from '../settings.ts';
import { pauseBefore } from './failure.ts';

/** Told before each pause. */
export type OnRetry = (news: RetryNews) => void;

export interface RetryNews {
  /** The host that failed. */
  readonly source: string;
  readonly message: string;
  /** The try that comes next; the first was 1. */
  readonly attempt: number;
  readonly maxAttempts: number;
  readonly pauseMs: number;
}

/** Runs `work` until it succeeds, fails for good, or was tried `limits.retries` times more. */
export async function tryAgain<T>(
  { signal, limits }: { readonly signal?: AbortSignal | undefined; readonly limits: TransferLimits },
  work: () => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      signal?.throwIfAborted();
      return await work();
    } catch (error) {
      signal?.throwIfAborted();
      const pauseMs = pauseBefore(error, attempt, limits);
      if (pauseMs === undefined) throw error;
      await pause(pauseMs, signal);
    }
  }
}

/** Waits; rejects with the signal's reason when it is aborted meanwhile. */
export async function pause(pauseMs: number, signal: AbortSignal | undefined): Promise<void> {
  await sleep(pauseMs, undefined, signal === undefined ? {} : { signal }).catch(() => signal?.throwIfAborted());
}
