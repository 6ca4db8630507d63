import { lookup } from 'node:dns';
import { once } from 'node:events';
import net, {
  isIP,
  type LookupFunction,
  type OnReadOpts,
  type Socket,
  type SocketConstructorOpts,
  type TcpNetConnectOpts,
} from 'node:net';
import tls, { type SecureContext } from 'node:tls';
import type { TransferLimits } from '../settings.ts';
import { isPrivateAddress, privateTarget } from './address.ts';
import { networkFailure, proxyFailure, tooLate } from './connection-failure.ts';
import type { Network } from './network.ts';
import { isHttpProxy, type Proxy } from './proxy.ts';

export interface ConnectOptions {
  readonly network: Network;
  readonly limits: TransferLimits;
  readonly proxy: Proxy | undefined;
  readonly signal: AbortSignal | undefined;
  /** A public host that led here: no private address is connected to. */
  readonly publicHost: string | undefined;
  /** Where the bytes of a direct connection are read to. Absent: where its stream says. */
  readonly onread?: OnReadOpts | undefined;
}

/**
 * Opens a connection over which the host of an URL can be asked: with its TLS, through its proxy where it has one. For `http:` behind
 * an HTTP proxy that is a connection to the proxy.
 *
 * Rejects with `TRANSFER_TIMEOUT` after `connectTimeoutMs`, `TRANSFER_NETWORK`, or `TRANSFER_STATUS` for what a proxy answers, and
 * with the signal's reason. Nothing stays open then.
 */
export async function connect(url: URL, options: ConnectOptions): Promise<Socket> {
  const { network, limits, proxy, signal } = options;
  const needsTls = url.protocol === 'https:' || proxy?.protocol === 'https:';
  const context = needsTls ? await network.authorities.context() : undefined;
  signal?.throwIfAborted();
  const ends = new AbortController();
  const cancel = (): void => ends.abort(signal?.reason);
  signal?.addEventListener('abort', cancel, { once: true });
  const timer = setTimeout(
    () => ends.abort(tooLate('connect to', url, limits.connectTimeoutMs, proxy)),
    limits.connectTimeoutMs,
  );
  const steps: Steps = {
    url,
    signal: ends.signal,
    context,
    lookup: lookupFor(url, options.publicHost),
    onread: options.onread,
  };
  try {
    return await (proxy === undefined ? direct(steps) : through(proxy, steps));
  } catch (error) {
    if (ends.signal.aborted) throw ends.signal.reason;
    ends.abort();
    throw networkFailure(url, error, proxy);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', cancel);
  }
}

interface Steps {
  readonly url: URL;
  /** Every socket on the way is destroyed with it. */
  readonly signal: AbortSignal;
  readonly context: SecureContext | undefined;
  readonly lookup: LookupFunction;
  readonly onread: OnReadOpts | undefined;
}

async function direct({ url, signal, context, lookup, onread }: Steps): Promise<Socket> {
  const [host, port] = [hostOf(url), portOf(url)];
  const reading = onread === undefined ? {} : { onread };
  return url.protocol === 'https:'
    ? await secured({ host, port, lookup, signal, ...reading }, context)
    : await plain({ host, port, lookup, signal, ...reading });
}

async function through(proxy: Proxy, { url, signal, context, lookup }: Steps): Promise<Socket> {
  const { openTunnel } = await import('./tunnel.ts');
  const target = { url, host: hostOf(url), port: portOf(url), lookup };
  let socket: Socket;
  try {
    const address = { host: hostOf(proxy), port: proxy.port, signal };
    socket = await (proxy.protocol === 'https:' ? secured(address, context) : plain(address));
    if (url.protocol === 'http:' && isHttpProxy(proxy)) return socket;
    await openTunnel(proxy, socket, target);
  } catch (error) {
    throw proxyFailure(url, error, proxy);
  }
  return url.protocol === 'https:' ? await secured({ host: target.host, socket, signal }, context) : socket;
}

async function plain(options: TcpNetConnectOpts & SocketConstructorOpts): Promise<Socket> {
  return await ready(net.connect({ noDelay: true, ...options }), 'connect');
}

async function secured(
  options: tls.ConnectionOptions & SocketConstructorOpts,
  context: SecureContext | undefined,
): Promise<Socket> {
  const { host = '' } = options;
  const socket = tls.connect({
    ALPNProtocols: ['http/1.1'],
    servername: isIP(host) === 0 ? host : '',
    ...(context === undefined ? {} : { secureContext: context }),
    ...options,
  });
  socket.setNoDelay(true);
  return await ready(socket, 'secureConnect');
}

async function ready(socket: Socket, event: string): Promise<Socket> {
  // For the moments between two owners: an error that nobody listens for ends the process.
  socket.on('error', () => undefined);
  await once(socket, event);
  return socket;
}

function hostOf({ hostname }: { readonly hostname: string }): string {
  return hostname.replace(/^\[|\]$/g, '');
}

function portOf({ port, protocol }: URL): number {
  return port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port);
}

/** After a public host: looks names up, and refuses private addresses before anything is sent to them. */
function lookupFor(url: URL, publicHost: string | undefined): LookupFunction {
  if (publicHost === undefined) return lookup;
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
