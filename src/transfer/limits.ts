import type { TransferLimits } from '../settings.ts';

/** What holds where the caller sets nothing else. */
export const DEFAULT_LIMITS: TransferLimits = {
  connectTimeoutMs: 10_000,
  firstByteTimeoutMs: 15_000,
  idleTimeoutMs: 30_000,
  lowSpeedBytesPerSecond: 1000,
  lowSpeedMs: 30_000,
  maxRedirects: 5,
  retries: 4,
  maxRetryAfterMs: 60_000,
  maxDocumentBytes: 8 * 1024 * 1024,
};
