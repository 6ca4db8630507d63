/** How long and how far a transfer may go; every one of them has a default. */
export interface TransferLimits {
  /** Until the connection, with its TLS, stands. Default 10,000. */
  readonly connectTimeoutMs: number;
  /** From then until the answer begins. Default 15,000. */
  readonly firstByteTimeoutMs: number;
  /** Between two pieces of the body. Default 30,000. */
  readonly idleTimeoutMs: number;
  /** A body slower than this over `lowSpeedMs` is given up. Default 1000. */
  readonly lowSpeedBytesPerSecond: number;
  /** Default 30,000. */
  readonly lowSpeedMs: number;
  /** Default 5. */
  readonly maxRedirects: number;
  /** How often what may pass is tried again: a request, or the rest of a body that broke without getting further. Default 3. */
  readonly retries: number;
  /** The longest `Retry-After` that is waited for. Default 60,000. */
  readonly maxRetryAfterMs: number;
}

export const DEFAULT_LIMITS: TransferLimits = {
  connectTimeoutMs: 10_000,
  firstByteTimeoutMs: 15_000,
  idleTimeoutMs: 30_000,
  lowSpeedBytesPerSecond: 1000,
  lowSpeedMs: 30_000,
  maxRedirects: 5,
  retries: 3,
  maxRetryAfterMs: 60_000,
};
