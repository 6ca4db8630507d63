import http from 'node:http';
import { isIP, type LookupFunction, type Socket } from 'node:net';
import { SmartVMError, messageOf } from '../errors.ts';
import { networkFailure } from './connection-failure.ts';
import { StatusError } from './failure.ts';
import { isHttpProxy, proxyAuthorization, shownProxy, type Proxy } from './proxy.ts';

/** What lies at the other end of a tunnel. */
export interface TunnelTarget {
  readonly url: URL;
  readonly host: string;
  readonly port: number;
  /** For proxies that want an address instead of a name. */
  readonly lookup: LookupFunction;
}

/** Makes a connection to a proxy one to the target behind it. */
export async function openTunnel(proxy: Proxy, socket: Socket, target: TunnelTarget): Promise<void> {
  if (isHttpProxy(proxy)) await connectMethod(proxy, socket, target);
  else await socks(proxy, socket, target);
}

async function connectMethod(proxy: Proxy, socket: Socket, { url, host, port }: TunnelTarget): Promise<void> {
  const authority = `${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
  await new Promise<void>((resolve, reject) => {
    const asking = http.request({
      method: 'CONNECT',
      path: authority,
      setHost: false,
      headers: { host: authority, connection: 'keep-alive', 'user-agent': 'smartvm', ...proxyAuthorization(proxy) },
      createConnection: () => socket,
    });
    asking.once('connect', ({ statusCode = 0, headers }, _, first) => {
      if (statusCode < 200 || statusCode > 299) {
        reject(new StatusError(url.href, statusCode, headers, { proxy, isProxys: true }));
        return;
      }
      if (first.byteLength > 0) socket.unshift(first);
      resolve();
    });
    asking.once('error', reject);
    asking.end();
  });
}

/** What a proxy says of a target that another try may reach. */
const PASSING = /closed|failure|unreachable|refused|expired/i;

async function socks(proxy: Proxy, socket: Socket, target: TunnelTarget): Promise<void> {
  const { url, host, port } = target;
  const { SocksClient } = await import('socks');
  const { protocol, hostname, port: proxyPort, user, password } = proxy;
  const looksUp = protocol === 'socks4:' || protocol === 'socks5:';
  const destination = looksUp ? await addressOf(target, protocol === 'socks4:' ? 4 : 0) : host;
  try {
    await SocksClient.createConnection({
      command: 'connect',
      existing_socket: socket,
      proxy: {
        host: hostname,
        port: proxyPort,
        type: protocol.startsWith('socks4') ? 4 : 5,
        ...(user === '' ? {} : { userId: user }),
        ...(password === '' ? {} : { password }),
      },
      destination: { host: destination, port },
    });
  } catch (error) {
    // Not kept as the cause: it carries the options, and they the password.
    const what = messageOf(error);
    throw new SmartVMError(`Failed to reach ${url.host} through ${shownProxy(proxy)}: ${what}`, 'TRANSFER_NETWORK', {
      hint: `Check ${proxy.variable} and its user and password, or except the host with NO_PROXY.`,
      retryable: PASSING.test(what),
    });
  }
}

async function addressOf({ url, host, lookup }: TunnelTarget, family: 0 | 4): Promise<string> {
  if (isIP(host) !== 0) return host;
  try {
    return await new Promise((resolve, reject) => {
      lookup(host, { family }, (error, address) => {
        if (error !== null) reject(error);
        else resolve(typeof address === 'string' ? address : (address[0]?.address ?? host));
      });
    });
  } catch (error) {
    throw networkFailure(url, error);
  }
}
