import { lookup } from 'node:dns';
import http from 'node:http';
import https from 'node:https';
import { isIP, type LookupFunction, type Socket } from 'node:net';
import { SmartVMError } from '../errors.ts';
import { allowedUrl, isPrivateAddress, privateTarget, redirectTarget, shown } from './address.ts';
import { StatusError, networkFailure } from './failure.ts';
import type { TransferLimits } from '../settings.ts';
import type { Network } from './network.ts';
import { tryAgain } from './retry.ts';

export interface RequestOptions {
  readonly network: Network;
  readonly signal?: AbortSignal | undefined;
  /** Default: those of the network. */
  readonly limits?: Partial<TransferLimits> | undefined;
  /** Sent on every hop of our own way; nothing a server said is ever added to them. */
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

/**
 * Asks an address and follows its redirects. What may pass is tried again, with growing pauses.
 *
 * Rejects with `TRANSFER_REFUSED`, `TRANSFER_NETWORK`, `TRANSFER_TIMEOUT`, or `TRANSFER_STATUS` for any status but 200, and 206
 * where a range was asked for.
 */
export async function request(address: string, options: RequestOptions): Promise<Answer> {
  const { network, signal } = options;
  const limits = network.limits(options.limits);
  return await tryAgain({ signal, limits }, () => follow(address, options, limits));
}

async function follow(address: string, options: RequestOptions, limits: TransferLimits): Promise<Answer> {
  const seen = new Set<string>();
  let url = allowedUrl(address, options.network.settings);
  let publicHost: string | undefined;
  for (;;) {
    if (seen.has(url.href)) throw lost(address, `${shown(url.href)} redirects in a circle`);
    if (seen.size > limits.maxRedirects) throw lost(address, `it redirects more than ${limits.maxRedirects} times`);
    seen.add(url.href);
    const { answer, isPrivate } = await once(url, options, limits, publicHost);
    if (!isPrivate) publicHost ??= url.host;
    const { status, headers } = answer;
    if (status === 200 || (status === 206 && options.headers?.['range'] !== undefined)) return answer;
    answer.body.destroy();
    if (!REDIRECTS.includes(status)) throw new StatusError(url.href, status, headers);
    url = redirectTarget(url, headers.location, options.network.settings);
  }
}

interface FirstAnswer {
  readonly answer: Answer;
  /** True when what answered has an address that no public host has. */
  readonly isPrivate: boolean;
}

/** One request on a connection of its own. After a public host (`publicHost`) no private address is connected to. */
async function once(
  url: URL,
  { signal, headers, method = 'GET' }: RequestOptions,
  limits: TransferLimits,
  publicHost: string | undefined,
): Promise<FirstAnswer> {
  const guard = publicHost === undefined ? {} : { lookup: publicLookup(url, publicHost) };
  return await new Promise((resolve, reject) => {
    const outgoing = (url.protocol === 'https:' ? https : http).request(url, {
      method,
      agent: false,
      headers: { 'user-agent': 'smartvm', accept: '*/*', 'accept-encoding': 'identity', ...headers },
      ...(signal === undefined ? {} : { signal }),
      ...guard,
    });
    let isPrivate = false;
    let timer = giveUpAfter(limits.connectTimeoutMs, 'connect to');
    function giveUpAfter(limitMs: number, step: string): NodeJS.Timeout {
      return setTimeout(() => outgoing.destroy(tooLate(step, url.host, limitMs)), limitMs);
    }
    outgoing.on('socket', (socket: Socket) => {
      socket.once(url.protocol === 'https:' ? 'secureConnect' : 'connect', () => {
        clearTimeout(timer);
        isPrivate = isPrivateAddress(socket.remoteAddress ?? '');
        timer = giveUpAfter(limits.firstByteTimeoutMs, 'get an answer from');
      });
    });
    outgoing.on('response', (body) => {
      clearTimeout(timer);
      const status = body.statusCode ?? 0;
      resolve({ answer: { status, headers: body.headers, body, finalUrl: url.href, limits }, isPrivate });
    });
    outgoing.on('error', (error) => {
      clearTimeout(timer);
      reject(asError(signal?.aborted === true ? signal.reason : networkFailure(url, error)));
    });
    outgoing.end();
  });
}

/**
 * Looks names up and refuses private addresses before anything is sent to them.
 *
 * @throws SmartVMError `TRANSFER_REFUSED` when the host is such an address itself, which is never looked up.
 */
function publicLookup(url: URL, publicHost: string): LookupFunction {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (isIP(host) !== 0 && isPrivateAddress(host)) throw privateTarget(url.href, publicHost);
  return (hostname, options, callback) => {
    lookup(hostname, options, (error, address, family) => {
      const addresses =
        error !== null ? [] : typeof address === 'string' ? [address] : address.map((one) => one.address);
      callback(
        error ?? (addresses.some(isPrivateAddress) ? privateTarget(url.href, publicHost) : null),
        address,
        family,
      );
    });
  };
}

function tooLate(step: string, host: string, limitMs: number): SmartVMError {
  return new SmartVMError(`Failed to ${step} ${host} within ${limitMs / 1000} s`, 'TRANSFER_TIMEOUT', {
    retryable: true,
    hint: 'Check the network and the address, and ask again.',
  });
}

function lost(address: string, why: string): SmartVMError {
  return new SmartVMError(`Gave up on ${shown(address)}: ${why}`, 'TRANSFER_REFUSED', {
    hint: 'Use the address that it is meant to lead to.',
  });
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason), { cause: reason });
}
