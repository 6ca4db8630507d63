import http from 'node:http';
import type { Socket } from 'node:net';
import { systemCode } from '../errors.ts';
import type { TransferLimits } from '../settings.ts';
import { isPrivateAddress, namesPrivateAddress, privateTarget } from './address.ts';
import { connect } from './connect.ts';
import { networkFailure, tooLate } from './connection-failure.ts';
import type { Connections } from './connections.ts';
import { StatusError } from './failure.ts';
import type { Network } from './network.ts';
import { isHttpProxy, proxyAuthorization, proxyFor, shownProxy, type Proxy } from './proxy.ts';
import type { WideBody } from './wide-body.ts';
import { WideConnection } from './wide-connection.ts';

export interface ExchangeOptions {
  readonly network: Network;
  readonly limits: TransferLimits;
  readonly method: 'GET' | 'HEAD';
  readonly headers: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  /** A public host that led here: then nothing is sent to a private address. */
  readonly publicHost?: string | undefined;
  /** Absent: the request has a connection of its own, which ends with it. */
  readonly connections?: Connections | undefined;
  readonly isLarge?: boolean | undefined;
}

export interface Exchange {
  readonly body: http.IncomingMessage;
  readonly wide: WideBody | undefined;
  /** True when what answered has an address that no public host has. What a proxy asks is taken for public, unless its address was named. */
  readonly isPrivate: boolean;
  readonly proxy: Proxy | undefined;
}

/**
 * Sends one request and waits for the head of its answer. A connection that was kept, and that the server had closed meanwhile, is
 * replaced by a new one without a word.
 */
export async function exchange(url: URL, options: ExchangeOptions): Promise<Exchange> {
  const { network, publicHost, connections } = options;
  if (publicHost !== undefined && namesPrivateAddress(url)) throw privateTarget(url.href, publicHost);
  const proxy = proxyFor(url, network.settings.env);
  // Whoever was led here by a public host gets only connections that were opened for such a one.
  const kind = [url.origin, proxy && shownProxy(proxy), publicHost !== undefined].join(' ');
  try {
    return await ask(url, options, proxy, connections?.agentFor(kind));
  } catch (error) {
    if (!(error instanceof StaleConnection)) throw error;
    return await ask(url, options, proxy, undefined);
  }
}

/** A kept connection of which came nothing. */
class StaleConnection extends Error {}

async function ask(
  url: URL,
  options: ExchangeOptions,
  proxy: Proxy | undefined,
  agent: http.Agent | undefined,
): Promise<Exchange> {
  const { network, limits, method, headers, signal, publicHost } = options;
  const isAbsolute = proxy !== undefined && isHttpProxy(proxy) && url.protocol === 'http:';
  return await new Promise((resolve, reject) => {
    let socket: Socket | WideConnection | undefined;
    let bytesBefore = 0;
    let timer: NodeJS.Timeout | undefined;
    // A kept connection is for more than one answer, and a proxy's is not made here alone.
    const isWide = options.isLarge === true && proxy === undefined && agent === undefined;
    const wide = isWide ? new WideConnection() : undefined;
    // Connections come with their TLS: over each of them plain HTTP is spoken.
    const outgoing = http.request({
      method,
      path: isAbsolute ? url.href.replace(/#.*$/, '') : url.pathname + url.search,
      setHost: false,
      headers: { host: url.host, ...headers, ...(isAbsolute ? proxyAuthorization(proxy) : {}) },
      ...(agent === undefined ? {} : { agent }),
      ...(signal === undefined ? {} : { signal }),
      createConnection: (_, callback) => {
        connect(url, { network, limits, proxy, signal, publicHost, onread: wide?.onread }).then(
          (opened) => callback(null, wide?.over(opened) ?? opened),
          // Node's types ask for a stream even beside an error.
          (error: unknown) => (callback as (error: unknown) => void)(error),
        );
        return undefined;
      },
    });
    // A connection of our own, or one that was used before: either way it stands when it comes.
    outgoing.on('socket', (given: Socket | WideConnection) => {
      socket = given;
      bytesBefore = given.bytesRead;
      timer = setTimeout(
        () => outgoing.destroy(tooLate('get an answer from', url, limits.firstByteTimeoutMs, proxy)),
        limits.firstByteTimeoutMs,
      );
    });
    outgoing.on('information', () => wide?.nextHead());
    outgoing.on('response', (body) => {
      clearTimeout(timer);
      const isPrivate = proxy === undefined ? isPrivateAddress(socket?.remoteAddress ?? '') : namesPrivateAddress(url);
      const bytes = plainLength(body);
      const taken = bytes === undefined ? undefined : wide?.takeBody(bytes, url.href, limits);
      if (taken === undefined) wide?.passOn();
      // It sees no end: that it was cut is known better where its bytes go.
      else body.on('error', () => undefined);
      resolve({ body, wide: taken, isPrivate, proxy });
    });
    // Where nobody listens for this Node ends the connection, and says nothing.
    outgoing.on('upgrade', ({ statusCode = 0, headers: said }, upgraded) => {
      clearTimeout(timer);
      upgraded.destroy();
      reject(new StatusError(url.href, statusCode, said, { proxy }));
    });
    outgoing.on('error', (error) => {
      clearTimeout(timer);
      const isStale = outgoing.reusedSocket && socket?.bytesRead === bytesBefore && isGone(error);
      if (signal?.aborted === true) reject(asError(signal.reason));
      else reject(isStale ? new StaleConnection() : asError(networkFailure(url, error, proxy)));
    });
    outgoing.end();
  });
}

/** How many bytes the body has where they come as they are, one after the other. */
function plainLength({ headers, statusCode }: http.IncomingMessage): number | undefined {
  const { 'content-length': length = '', 'transfer-encoding': encoding } = headers;
  const isPlain = (statusCode === 200 || statusCode === 206) && encoding === undefined && /^\d{1,15}$/.test(length);
  return isPlain ? Number(length) : undefined;
}

function isGone(error: unknown): boolean {
  return ['ECONNRESET', 'EPIPE', 'ECONNABORTED'].includes(systemCode(error) ?? '');
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason), { cause: reason });
}
