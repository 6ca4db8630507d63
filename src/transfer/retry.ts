import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../errors.ts';
import type { Context } from '../image.ts';
import type { TransferLimits } from '../settings.ts';
import { afterTries, pauseBefore } from './failure.ts';

/** Something that may pass happened, and there will be another try after a pause. */
export interface RetryNews {
  /** The host that failed. */
  readonly source: string;
  /** What happened, in words. */
  readonly message: string;
  /** The try that comes next, counted from 1; the first was 1. */
  readonly attempt: number;
  readonly maxAttempts: number;
  readonly pauseMs: number;
}

export type OnRetry = (news: RetryNews) => void;

/** Tells pauses to whoever watches the operation. */
export function retriesTo({ onProgress }: Pick<Context, 'onProgress'>): OnRetry {
  return (news) => onProgress({ phase: 'retry', ...news });
}

export interface TryOptions {
  readonly limits: TransferLimits;
  readonly signal?: AbortSignal | undefined;
  readonly onRetry?: OnRetry | undefined;
}

/**
 * Runs `work` until it succeeds, fails for good, or was tried `limits.retries` times more: then the error says how often. What `work` is
 * given is to be told every host that it asks.
 */
export async function tryAgain<T>(
  { signal, limits, onRetry }: TryOptions,
  work: (asks: (host: string) => void) => Promise<T>,
): Promise<T> {
  let source = '';
  for (let attempt = 1; ; attempt += 1) {
    try {
      signal?.throwIfAborted();
      return await work((host) => (source = host));
    } catch (error) {
      signal?.throwIfAborted();
      const pauseMs = pauseBefore(error, attempt, limits);
      if (pauseMs === undefined) throw afterTries(error, attempt);
      const maxAttempts = limits.retries + 1;
      onRetry?.({ source, message: messageOf(error), attempt: attempt + 1, maxAttempts, pauseMs });
      await pause(pauseMs, signal);
    }
  }
}

/** Waits; rejects with the signal's reason when it is aborted meanwhile. */
export async function pause(pauseMs: number, signal: AbortSignal | undefined): Promise<void> {
  await sleep(pauseMs, undefined, signal === undefined ? {} : { signal }).catch(() => signal?.throwIfAborted());
}
