import { SmartVMError } from '../errors.ts';
import type { TransferSettings } from '../settings.ts';
import { isLoopback } from './address.ts';
import { isExempt } from './no-proxy.ts';

type Env = NonNullable<TransferSettings['env']>;

/** A proxy, and the variable that names it. */
export interface Proxy {
  readonly variable: string;
  readonly protocol: ProxyProtocol;
  readonly hostname: string;
  readonly port: number;
  /** Never shown. */
  readonly user: string;
  /** Never shown. */
  readonly password: string;
}

export type ProxyProtocol = keyof typeof DEFAULT_PORTS;

const DEFAULT_PORTS = {
  'http:': 80,
  'https:': 443,
  'socks4:': 1080,
  'socks4a:': 1080,
  'socks5:': 1080,
  'socks5h:': 1080,
};

/**
 * The proxy that is to be used for this URL, if there is one. This machine itself is never asked for through a proxy.
 *
 * @throws SmartVMError `TRANSFER_REFUSED` when the variable holds no address of a proxy.
 */
export function proxyFor(url: URL, env: Env | undefined): Proxy | undefined {
  if (env === undefined || isLoopback(url)) return undefined;
  const variable = variablesFor(url, env).find((name) => isSet(env, name));
  if (variable === undefined) return undefined;
  const exceptions = ['no_proxy', 'NO_PROXY'].find((name) => isSet(env, name));
  if (exceptions !== undefined && isExempt(url, env[exceptions] ?? '')) return undefined;
  return readProxy(variable, env[variable] ?? '');
}

/** A proxy as it may be shown: `the proxy proxy.lan:3128 (HTTPS_PROXY)`. */
export function shownProxy({ hostname, port, variable }: Proxy): string {
  return `the proxy ${hostname}:${port} (${variable})`;
}

/** True for a proxy that speaks HTTP itself; the others only pass bytes on. */
export function isHttpProxy({ protocol }: Proxy): boolean {
  return protocol === 'http:' || protocol === 'https:';
}

/** The header fields in which an HTTP proxy is told who asks. */
export function proxyAuthorization({ user, password }: Proxy): Readonly<Record<string, string>> {
  if (user === '' && password === '') return {};
  return { 'proxy-authorization': `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` };
}

/** Lower case comes first, as for curl. */
function variablesFor({ protocol }: URL, env: Env): readonly string[] {
  if (protocol === 'https:') return ['https_proxy', 'HTTPS_PROXY', 'all_proxy', 'ALL_PROXY'];
  // In a CGI program HTTP_PROXY is the header field "Proxy" of whoever asks it.
  const isCgi = isSet(env, 'REQUEST_METHOD');
  return ['http_proxy', ...(isCgi ? [] : ['HTTP_PROXY']), 'all_proxy', 'ALL_PROXY'];
}

function isSet(env: Env, name: string): boolean {
  return (env[name] ?? '').trim() !== '';
}

function readProxy(variable: string, value: string): Proxy {
  const text = value.trim();
  const address = text.includes('://') ? text : `http://${text}`;
  const url = URL.canParse(address) ? new URL(address) : undefined;
  const protocol = url?.protocol ?? '';
  if (url === undefined || !isProxyProtocol(protocol) || url.hostname === '') {
    throw new SmartVMError(`${variable} holds no address of a proxy`, 'TRANSFER_REFUSED', {
      hint: `Set it like http://proxy.lan:3128; ${Object.keys(DEFAULT_PORTS).join(', ')} are spoken. Special characters of a password are written as %40.`,
    });
  }
  return {
    variable,
    protocol,
    hostname: url.hostname,
    port: url.port === '' ? DEFAULT_PORTS[protocol] : Number(url.port),
    user: decoded(url.username),
    password: decoded(url.password),
  };
}

function isProxyProtocol(protocol: string): protocol is ProxyProtocol {
  return Object.hasOwn(DEFAULT_PORTS, protocol);
}

/** A lone `%` stands for itself. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
