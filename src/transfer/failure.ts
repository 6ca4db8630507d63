import type { IncomingHttpHeaders } from 'node:http';
import { SmartVMError } from '../errors.ts';
import { shown } from './address.ts';
import { behind, proxyHint } from './connection-failure.ts';
import { shownProxy, type Proxy } from './proxy.ts';
import type { TransferLimits } from '../settings.ts';

const WORTH_ANOTHER_TRY: readonly number[] = [408, 425, 429, 500, 502, 503, 504];
/** The one form of a date that HTTP writes; `Date.parse` alone takes nearly anything for a date. */
const HTTP_DATE = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/;

/** An answer that is not what was asked for. */
export class StatusError extends SmartVMError {
  readonly status: number;
  /** The pause that the server wants before the next try. */
  readonly retryAfterMs: number | undefined;

  constructor(url: string, status: number, headers: IncomingHttpHeaders, way: Way = {}) {
    const { proxy } = way;
    const retryAfterMs = pauseAsked(headers['retry-after']);
    const isProxys = proxy !== undefined && (way.isProxys === true || status === 407);
    const who = isProxys ? `${capital(shownProxy(proxy))}, asked for ${shown(url)},` : shown(url) + behind(proxy, ',');
    // A condition that failed is true again only for another object: the caller may ask anew, this request may not.
    const retryable = WORTH_ANOTHER_TRY.includes(status) || status === 412;
    super(`${who} answered with status ${status}${comeBack(retryAfterMs)}`, 'TRANSFER_STATUS', {
      hint: isProxys ? wayOutOfProxy(status, proxy) : wayOut(status),
      retryable,
    });
    this.status = status;
    this.retryAfterMs = retryAfterMs;
  }
}

/** How an answer came. */
export interface Way {
  readonly proxy?: Proxy | undefined;
  /** The answer is the proxy's own. */
  readonly isProxys?: boolean;
}

/** The same error, saying how often it was tried when that was more than once. */
export function afterTries(error: unknown, tries: number): unknown {
  // Not a new one: its class and what it carries are to stay.
  if (error instanceof SmartVMError && error.retryable && tries > 1) error.message += `, after ${tries} tries`;
  return error;
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

function comeBack(retryAfterMs: number | undefined): string {
  if (retryAfterMs === undefined) return '';
  const at = new Date(Date.now() + retryAfterMs);
  if (Number.isNaN(at.getTime())) return ' and asks not to come back';
  return ` and asks to come back in ${Math.ceil(retryAfterMs / 1000)} s, at ${at.toISOString().replace(/\.\d+/, '')}`;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function wayOutOfProxy(status: number, proxy: Proxy): string {
  if (status !== 407) return proxyHint(proxy);
  return `Give ${proxy.variable} the user and the password of the proxy, like http://user:password@${proxy.hostname}:${proxy.port}.`;
}

function wayOut(status: number): string {
  if (status === 404 || status === 410) {
    return 'There is nothing at that address: check it, and whether what it names was moved.';
  }
  if (status === 401 || status === 403 || status === 451) {
    return 'The host does not let us: check the address; what it wants to be told is set with ~/.netrc or the option headers.';
  }
  if (status === 412) return 'It changed since it was looked up: ask again.';
  if (status === 416) return 'It is shorter than was expected: ask again from its beginning.';
  return 'Ask again later; the host does not serve it now.';
}
