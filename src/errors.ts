/**
 * Every code a `SmartVMError` can carry. Codes are API: programs branch on them, messages may be reworded.
 *
 * `TRANSFER_…` and `STORE_…` codes are causes: they appear as the `cause` of one of the others.
 */
export type SmartVMErrorCode =
  | 'INVALID_BASE_IMAGE_CACHE_LIMIT'
  | 'INVALID_BASE_IMAGE_OPTIONS'
  | 'INVALID_BASE_IMAGE_MANIFEST'
  | 'INVALID_BASE_IMAGE_REFERENCE'
  | 'VERSION_FETCH_FAILED'
  | 'BASE_IMAGE_RESOLVE_FAILED'
  | 'BASE_IMAGE_MANIFEST_FAILED'
  | 'BASE_IMAGE_PREPARE_FAILED'
  | 'BASE_IMAGE_BUILD_FAILED'
  | 'BASE_IMAGE_NOT_CACHED'
  | 'BASE_IMAGE_CACHE_UNSAFE'
  | 'BASE_IMAGE_BELOW_TRUST'
  | 'BASE_IMAGE_LOCK_MISMATCH'
  | 'VMM_UNAVAILABLE'
  | 'MACHINE_BOOT_FAILED'
  | 'MACHINE_LOST'
  | 'TRANSFER_REFUSED'
  | 'TRANSFER_STATUS'
  | 'TRANSFER_NETWORK'
  | 'TRANSFER_TIMEOUT'
  | 'TRANSFER_TRUNCATED'
  | 'TRANSFER_TOO_LARGE'
  | 'TRANSFER_CHANGED'
  | 'STORE_DIGEST_MISMATCH'
  | 'STORE_SIZE_MISMATCH'
  | 'STORE_NO_SPACE'
  | 'STORE_LOCKED'
  | 'STORE_UNREADABLE'
  | 'STORE_UNWRITABLE'
  | 'STORE_CORRUPT';

export interface SmartVMErrorOptions {
  /** What happened beneath; kept for `--verbose` and for programs that look deeper. */
  readonly cause?: unknown;
  /** The way out, as a sentence or a command. */
  readonly hint?: string;
  /** True when the same call may succeed later without anything being changed. */
  readonly retryable?: boolean;
}

/** The only error this library throws on purpose. Cancelled calls reject with the signal's `AbortError` instead. */
export class SmartVMError extends Error {
  override readonly name: string = 'SmartVMError';
  readonly code: SmartVMErrorCode;
  readonly hint: string | undefined;
  readonly retryable: boolean;

  constructor(message: string, code: SmartVMErrorCode, options: SmartVMErrorOptions = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.hint = options.hint;
    this.retryable = options.retryable ?? false;
  }
}

/** True for what an aborted `AbortSignal` throws; such errors pass through every translation unchanged. */
export function isAbortError(error: unknown): boolean {
  return error instanceof Error && (error.name === 'AbortError' || error.name === 'TimeoutError');
}

/** The system error code (`ENOENT`, `EACCES`, …) of an error from the operating system, else `undefined`. */
export function systemCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

export interface IntentOptions {
  /** The way out, where the failure beneath names none. */
  readonly hint?: string;
  /** Codes beneath that already say what the user wanted: they pass through as they are. */
  readonly passing?: readonly SmartVMErrorCode[];
}

/**
 * Runs `work` and says what it was for when it fails: `Failed to <intent>: <what happened>`, with the failure as cause.
 * The hint and `retryable` of a `SmartVMError` beneath are kept. Cancellation passes through.
 */
export async function withIntent<T>(
  intent: string,
  code: SmartVMErrorCode,
  work: () => Promise<T>,
  { hint, passing = [] }: IntentOptions = {},
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (isAbortError(error)) throw error;
    const known = error instanceof SmartVMError ? error : undefined;
    if (known !== undefined && passing.includes(known.code)) throw known;
    const way = known?.hint ?? hint;
    throw new SmartVMError(`Failed to ${intent}: ${messageOf(error)}`, code, {
      cause: error,
      retryable: known?.retryable ?? false,
      ...(way === undefined ? {} : { hint: way }),
    });
  }
}

/** The message of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
