import http from 'node:http';
import https from 'node:https';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { SmartVMError, isAbortError, messageOf, systemCode } from '../errors.ts';
import { allowedUrl, isPrivateAddress, privateTarget, redirectTarget, shown, type TransferPolicy } from './address.ts';
import { DEFAULT_LIMITS, type TransferLimits } from './limits.ts';

export interface RequestOptions {
  readonly policy: TransferPolicy;
  readonly signal?: AbortSignal | undefined;
  readonly limits?: Partial<TransferLimits> | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly method?: 'GET' | 'HEAD' | undefined;
}

/** An answer whose body has not been read yet; it is to be read to its end or destroyed. */
export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: http.IncomingMessage;
  readonly finalUrl: string;
  readonly limits: TransferLimits;
}

const REDIRECTS: readonly number[] = [301, 302, 303, 307, 308];
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

/**
 * Asks an address and follows its redirects, each with headers built anew. What may pass is tried again, with growing pauses.
 *
 * Rejects with `TRANSFER_REFUSED`, `TRANSFER_NETWORK`, `TRANSFER_TIMEOUT`, or `TRANSFER_STATUS` for anything but a 2xx.
 */
export async function request(address: string, options: RequestOptions): Promise<Answer> {
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await follow(address, options, limits);
    } catch (error) {
      options.signal?.throwIfAborted();
      const pauseMs = pauseBefore(error, attempt, limits);
      if (pauseMs === undefined) throw error;
      await sleep(pauseMs, undefined, options.signal === undefined ? {} : { signal: options.signal });
    }
  }
}

async function follow(address: string, options: RequestOptions, limits: TransferLimits): Promise<Answer> {
  const seen = new Set<string>();
  let url = allowedUrl(address, options.policy);
  let publicHost: string | undefined;
  for (;;) {
    if (seen.has(url.href) || seen.size > limits.maxRedirects) throw tooManyRedirects(address, seen.size);
    seen.add(url.href);
    const { answer, isPrivate } = await once(url, options, limits, publicHost);
    if (!isPrivate) publicHost = url.host;
    if (!REDIRECTS.includes(answer.status)) {
      if (answer.status >= 200 && answer.status < 300) return answer;
      answer.body.destroy();
      throw badStatus(answer);
    }
    answer.body.destroy();
    url = redirectTarget(url, answer.headers.location, options.policy);
  }
}

/** One request on a connection of its own. */
function once(
  url: URL,
  { signal, headers, method = 'GET' }: RequestOptions,
  limits: TransferLimits,
  publicHost: string | undefined,
): Promise<{ readonly answer: Answer; readonly isPrivate: boolean }> {
  return new Promise((resolve, reject) => {
    const outgoing = (url.protocol === 'https:' ? https : http).request(url, {
      method,
      agent: false,
      headers: { 'user-agent': 'smartvm', accept: '*/*', 'accept-encoding': 'identity', ...headers },
      ...(signal === undefined ? {} : { signal }),
    });
    let isPrivate = false;
    let timer = setTimeout(giveUp, limits.connectTimeoutMs, 'connect', limits.connectTimeoutMs);
    function giveUp(step: string, limitMs: number): void {
      outgoing.destroy(
        new SmartVMError(`Failed to ${step} to ${url.host} within ${limitMs / 1000} s`, 'TRANSFER_TIMEOUT', {
          retryable: true,
        }),
      );
    }
    outgoing.on('socket', (socket: Socket) => {
      socket.once(url.protocol === 'https:' ? 'secureConnect' : 'connect', () => {
        clearTimeout(timer);
        isPrivate = isPrivateAddress(socket.remoteAddress?.replace(/^::ffff:/, '') ?? '');
        if (isPrivate && publicHost !== undefined) outgoing.destroy(privateTarget(url.href, publicHost));
        timer = setTimeout(giveUp, limits.firstByteTimeoutMs, 'get an answer from', limits.firstByteTimeoutMs);
      });
    });
    outgoing.on('response', (body) => {
      clearTimeout(timer);
      const status = body.statusCode ?? 0;
      resolve({ answer: { status, headers: body.headers, body, finalUrl: url.href, limits }, isPrivate });
    });
    outgoing.on('error', (error) => {
      clearTimeout(timer);
      reject(signal?.aborted === true ? (signal.reason as Error) : networkError(url, error));
    });
    outgoing.end();
  });
}

/** How long to wait before another try, `undefined` when there is to be none. */
function pauseBefore(error: unknown, attempt: number, limits: TransferLimits): number | undefined {
  if (!(error instanceof SmartVMError) || !error.retryable || attempt > limits.retries) return undefined;
  const asked = error instanceof StatusError ? error.retryAfterMs : undefined;
  if (asked !== undefined) return asked <= limits.maxRetryAfterMs ? asked : undefined;
  const longestMs = Math.min(250 * 2 ** attempt, 8000);
  return longestMs / 2 + (Math.random() * longestMs) / 2;
}

/** An answer that is not what was asked for, with the pause that the server wants before the next try. */
class StatusError extends SmartVMError {
  readonly retryAfterMs: number | undefined;

  constructor(message: string, hint: string, retryable: boolean, retryAfterMs: number | undefined) {
    super(message, 'TRANSFER_STATUS', { hint, retryable });
    this.retryAfterMs = retryAfterMs;
  }
}

function badStatus({ status, headers, finalUrl }: Answer): SmartVMError {
  const retryable = WORTH_ANOTHER_TRY.includes(status);
  const hint =
    status === 404
      ? 'There is nothing at that address: check it, and whether what it names was moved.'
      : status === 401 || status === 403
        ? 'The host does not let us: check the address and whether it needs credentials.'
        : status === 412
          ? 'It changed since it was looked up: ask again.'
          : 'Ask again later; the host does not serve it now.';
  return new StatusError(
    `${shown(finalUrl)} answered with status ${status}`,
    hint,
    retryable || status === 412,
    pauseAsked(headers),
  );
}

/** `Retry-After` in seconds or as a date; what is neither is not there (RFC 9110, 10.2.3). */
function pauseAsked(headers: http.IncomingHttpHeaders): number | undefined {
  const text = headers['retry-after'];
  if (text === undefined) return undefined;
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  const at = Date.parse(text);
  return Number.isNaN(at) || /^-/.test(text) ? undefined : Math.max(0, at - Date.now());
}

function tooManyRedirects(address: string, count: number): SmartVMError {
  return new SmartVMError(`Gave up on ${shown(address)}: ${count} redirects lead nowhere`, 'TRANSFER_REFUSED', {
    hint: 'The address redirects in a circle, or too often; use the address it is meant to lead to.',
  });
}

function networkError(url: URL, error: unknown): SmartVMError {
  if (error instanceof SmartVMError || isAbortError(error)) return error as SmartVMError;
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
