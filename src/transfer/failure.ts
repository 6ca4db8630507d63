import type { IncomingHttpHeaders } from 'node:http';
import { SmartVMError, isAbortError, messageOf, systemCode } from '../errors.ts';
import { shown } from './address.ts';
import type { TransferLimits } from '../settings.ts';

const WORTH_ANOTHER_TRY: readonly number[] = [408, 425, 429, 500, 502, 503, 504];
const PASSING_TROUBLE: readonly string[] = [
  'ECONNRESET',
  'ECONNREFUSED',
  'EPIPE',
  'ETIMEDOUT',
  'EAI_AGAIN',
  'ENETUNREACH',
  'EHOSTUNREACH',
];
/** The one form of a date that HTTP writes; `Date.parse` alone takes nearly anything for a date. */
const HTTP_DATE = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/;

/** An answer that is not what was asked for. */
export class StatusError extends SmartVMError {
  readonly status: number;
  /** The pause that the server wants before the next try. */
  readonly retryAfterMs: number | undefined;

  constructor(url: string, status: number, headers: IncomingHttpHeaders) {
    const retryAfterMs = pauseAsked(headers['retry-after']);
    const later = retryAfterMs === undefined ? '' : ` and asks to come back in ${Math.ceil(retryAfterMs / 1000)} s`;
    // A condition that failed is true again only for another object: the caller may ask anew, this request may not.
    const retryable = WORTH_ANOTHER_TRY.includes(status) || status === 412;
    super(`${shown(url)} answered with status ${status}${later}`, 'TRANSFER_STATUS', {
      hint: wayOut(status),
      retryable,
    });
    this.status = status;
    this.retryAfterMs = retryAfterMs;
  }
}

/** What a failed connection is told as. Cancellation passes through. */
export function networkFailure(url: URL, error: unknown): unknown {
  if (error instanceof SmartVMError || isAbortError(error)) return error;
  const code = systemCode(error) ?? '';
  const isCertificate = /CERT|SIGNATURE|SELF_SIGNED|ALTNAME/.test(code);
  const hint = isCertificate
    ? 'The certificate does not prove the host: check the address, the clock, or NODE_EXTRA_CA_CERTS for a private authority.'
    : 'Check the network and the address; with --offline the cache alone is asked.';
  return new SmartVMError(`Failed to reach ${url.host}: ${messageOf(error) || code}`, 'TRANSFER_NETWORK', {
    cause: error,
    hint,
    retryable: PASSING_TROUBLE.includes(code),
  });
}

/** How long to wait before another try, `undefined` when there is to be none. `attempt` counts from 1. */
export function pauseBefore(error: unknown, attempt: number, limits: TransferLimits): number | undefined {
  if (!(error instanceof SmartVMError) || !error.retryable || attempt > limits.retries) return undefined;
  const longestMs = Math.min(250 * 2 ** attempt, 8000);
  const ownMs = longestMs / 2 + (Math.random() * longestMs) / 2;
  if (!(error instanceof StatusError)) return ownMs;
  if (error.status === 412) return undefined;
  if (error.retryAfterMs === undefined) return ownMs;
  return error.retryAfterMs <= limits.maxRetryAfterMs ? Math.max(error.retryAfterMs, ownMs) : undefined;
}

/** `Retry-After` in seconds or as a date; what is neither is not there (RFC 9110, 10.2.3). */
function pauseAsked(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  return HTTP_DATE.test(text) ? Math.max(0, Date.parse(text) - Date.now()) : undefined;
}

function wayOut(status: number): string {
  if (status === 404 || status === 410) {
    return 'There is nothing at that address: check it, and whether what it names was moved.';
  }
  if (status === 401 || status === 403 || status === 451) {
    return 'The host does not let us: check the address and whether it needs credentials.';
  }
  if (status === 412) return 'It changed since it was looked up: ask again.';
  if (status === 416) return 'It is shorter than was expected: ask again from its beginning.';
  return 'Ask again later; the host does not serve it now.';
}
