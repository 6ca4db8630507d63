import type http from 'node:http';
import { SmartVMError } from '../errors.ts';
import { allowedUrl, redirectTarget, shown } from './address.ts';
import type { Connections } from './connections.ts';
import { exchange } from './exchange.ts';
import { StatusError } from './failure.ts';
import type { TransferLimits } from '../settings.ts';
import type { Network } from './network.ts';
import { tryAgain, type OnRetry } from './retry.ts';
import type { WideBody } from './wide-body.ts';

export interface RequestOptions {
  readonly network: Network;
  readonly signal?: AbortSignal | undefined;
  /** Default: those of the network. */
  readonly limits?: Partial<TransferLimits> | undefined;
  /** Sent to whoever has the object, on every hop. What only one origin may hear is a setting of the network. */
  readonly headers?: ObjectHeaders | undefined;
  readonly method?: 'GET' | 'HEAD' | undefined;
  /** Where connections come from and go back to. Default: one for this request alone. */
  readonly connections?: Connections | undefined;
  /** True for what may be large: then its bytes are taken past `node:http` where that can be. */
  readonly isLarge?: boolean | undefined;
  /** Called before every pause. */
  readonly onRetry?: OnRetry | undefined;
  /** Called before every hop. */
  readonly onHost?: ((host: string) => void) | undefined;
}

/** An answer whose body has not been read yet; it is to be read to its end or destroyed. */
export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: http.IncomingMessage;
  /** The bytes of the body, where they do not come through `body`. */
  readonly wide: WideBody | undefined;
  readonly finalUrl: string;
  readonly limits: TransferLimits;
}

const REDIRECTS: readonly number[] = [301, 302, 303, 307, 308];

const ABOUT_THE_OBJECT = ['accept', 'if-match', 'if-none-match', 'if-range', 'range'] as const;

/** Header fields that say which bytes are wanted, and hold no secret. */
export type ObjectHeaders = Readonly<Partial<Record<(typeof ABOUT_THE_OBJECT)[number], string>>>;

/**
 * Asks an address and follows its redirects. What may pass is tried again, with growing pauses.
 *
 * Rejects with `TRANSFER_REFUSED`, `TRANSFER_NETWORK`, `TRANSFER_TIMEOUT`, or `TRANSFER_STATUS` for any status but 200, and 206
 * where a range was asked for.
 */
export async function request(address: string, options: RequestOptions): Promise<Answer> {
  const { network, signal, onRetry } = options;
  const limits = network.limits(options.limits);
  return await tryAgain({ signal, limits, onRetry }, (asks) => {
    const onHost = (host: string): void => {
      asks(host);
      options.onHost?.(host);
    };
    return follow(address, { ...options, onHost }, limits);
  });
}

async function follow(address: string, options: RequestOptions, limits: TransferLimits): Promise<Answer> {
  const { network, method = 'GET', signal, connections, isLarge, onHost } = options;
  const seen = new Set<string>();
  let url = allowedUrl(address, network.settings);
  let publicHost: string | undefined;
  for (;;) {
    if (seen.has(url.href)) throw lost(address, `${shown(url.href)} redirects in a circle`);
    if (seen.size > limits.maxRedirects) throw lost(address, `it redirects more than ${limits.maxRedirects} times`);
    seen.add(url.href);
    onHost?.(url.host);
    const headers = await headersFor(url, options);
    const hop = { network, limits, method, headers, signal, publicHost, connections, isLarge };
    const { body, wide, isPrivate, proxy } = await exchange(url, hop);
    if (!isPrivate) publicHost ??= url.host;
    const { statusCode: status = 0, headers: said } = body;
    if (status === 200 || (status === 206 && headers['range'] !== undefined)) {
      return { status, headers: said, body, wide, finalUrl: url.href, limits };
    }
    body.destroy();
    if (!REDIRECTS.includes(status)) throw new StatusError(url.href, status, said, { proxy });
    url = redirectTarget(url, said.location, network.settings);
  }
}

/** What is sent to this hop, put together anew: nothing that a server said, and no secret that was not meant for its origin. */
async function headersFor(url: URL, { network, headers = {} }: RequestOptions): Promise<Record<string, string>> {
  const wanted = ABOUT_THE_OBJECT.flatMap((name) => (headers[name] === undefined ? [] : [[name, headers[name]]]));
  return {
    'user-agent': 'smartvm',
    accept: '*/*',
    'accept-encoding': 'identity',
    ...(await network.credentials.headersFor(url)),
    ...(Object.fromEntries(wanted) as ObjectHeaders),
  };
}

function lost(address: string, why: string): SmartVMError {
  return new SmartVMError(`Gave up on ${shown(address)}: ${why}`, 'TRANSFER_REFUSED', {
    hint: 'Use the address that it is meant to lead to.',
  });
}
