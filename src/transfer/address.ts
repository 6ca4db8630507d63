import { BlockList, isIP } from 'node:net';
import { SmartVMError } from '../errors.ts';
import type { TransferSettings } from '../settings.ts';

/** Which addresses may be asked. */
export type TransferPolicy = Pick<TransferSettings, 'allowHttp'>;

/**
 * Reads an address that is about to be asked: `https:`, or `http:` on loopback and for allowed origins.
 *
 * @throws SmartVMError `TRANSFER_REFUSED`, naming the address and the rule, and the host that led there, if one did.
 */
export function allowedUrl(text: string, { allowHttp }: TransferPolicy, led?: string): URL {
  const why = (reason: string): string => (led === undefined ? reason : `${led} redirects there, and ${reason}`);
  if (!URL.canParse(text) || hasControlCharacters(text)) throw refused(text, why('it is no URL'));
  const url = new URL(text);
  if (url.username !== '' || url.password !== '') {
    const hint = 'Write the address without them, and what they are to ~/.netrc or the option headers.';
    throw refused(text, why('it carries a user name or a password'), hint);
  }
  if (url.protocol === 'https:') return url;
  if (url.protocol !== 'http:') throw refused(text, why(`${url.protocol} is not spoken here, only https:`));
  if (isLoopback(url) || allowHttp.some((origin) => originOf(origin) === url.origin)) return url;
  throw refused(text, why(`http: is allowed on loopback and for origins you configured, and ${url.origin} is neither`));
}

/**
 * Where a redirect leads. The way never loses TLS, and never leads from a public host to a private one.
 *
 * @throws SmartVMError `TRANSFER_REFUSED`.
 */
export function redirectTarget(from: URL, location: string | undefined, policy: TransferPolicy): URL {
  if (location === undefined || location === '') throw refused(from.href, 'it redirects without saying where');
  if (hasControlCharacters(location) || location.includes('\\'))
    throw refused(from.href, 'it redirects to a malformed address');
  if (!URL.canParse(location, from.href)) throw refused(from.href, 'it redirects to a malformed address');
  const to = allowedUrl(new URL(location, from).href, policy, from.host);
  if (from.protocol === 'https:' && to.protocol !== 'https:')
    throw refused(to.href, `${from.host} redirects from https: to http:`);
  if (to.protocol === 'http:' && isLoopback(to) && !isLoopback(from)) throw privateTarget(to.href, from.host);
  return to;
}

/** True when the host of this URL is this machine, by name or by address. */
export function isLoopback({ hostname }: URL): boolean {
  const host = hostname.replace(/^\[|\]$|\.$/g, '');
  if (host === 'localhost' || host.endsWith('.localhost')) return true;
  const family = isIP(host);
  return family !== 0 && loopback().check(host, family === 6 ? 'ipv6' : 'ipv4');
}

/** True for addresses that no public host has: loopback, private, link-local, shared, multicast, reserved, unspecified. */
export function isPrivateAddress(address: string): boolean {
  const family = isIP(address);
  if (family === 0) return false;
  return privateNetworks().check(address, family === 6 ? 'ipv6' : 'ipv4');
}

/** True when the URL names this machine, or an address that no public host has. Other names say nothing of that. */
export function namesPrivateAddress(url: URL): boolean {
  return isLoopback(url) || isPrivateAddress(url.hostname.replace(/^\[|\]$/g, ''));
}

/** The error for a redirect that leads from a public host into a private network. */
export function privateTarget(url: string, from: string): SmartVMError {
  const hint = 'Ask for the address itself where that is meant: no public host may lead into a private network.';
  return refused(url, `${from}, a public host, redirects to a private address`, hint);
}

/** An address as it may be shown: without user, password, query and fragment. */
export function shown(text: string): string {
  if (!URL.canParse(text)) return JSON.stringify(text.slice(0, 200));
  const url = new URL(text);
  return `${url.protocol}//${url.host}${url.pathname}`.slice(0, 500);
}

function refused(url: string, why: string, hint = HTTPS_HINT): SmartVMError {
  return new SmartVMError(`Refused to ask ${shown(url)}: ${why}`, 'TRANSFER_REFUSED', { hint });
}

const HTTPS_HINT =
  'Use an https: address; a mirror without TLS can be allowed by its origin (allowHttp, --allow-http).';

function originOf(text: string): string | undefined {
  return URL.canParse(text) ? new URL(text).origin : undefined;
}

function hasControlCharacters(text: string): boolean {
  return /[\u0000-\u001f\u007f]/.test(text);
}

/** What is made when it is asked for first: a hit in the cache asks nobody, and is not to load `node:net`. */
function once<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => (made ??= make());
}

function blockList(...subnets: readonly (readonly [address: string, prefix: number])[]): BlockList {
  const list = new BlockList();
  for (const [address, prefix] of subnets) list.addSubnet(address, prefix, address.includes(':') ? 'ipv6' : 'ipv4');
  return list;
}

const loopback = once(() => blockList(['127.0.0.0', 8], ['::1', 128]));
const PRIVATE_IPV4 = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['224.0.0.0', 3],
] as const;
const privateNetworks = once(() =>
  blockList(
    ...PRIVATE_IPV4,
    // The same behind a translator of protocols (RFC 6052) and a relay (RFC 3056). The mapped ones are found as they are.
    ...PRIVATE_IPV4.map(([address, prefix]) => [`64:ff9b::${inHex(address)}`, 96 + prefix] as const),
    ...PRIVATE_IPV4.map(([address, prefix]) => [`2002:${inHex(address)}::`, 16 + prefix] as const),
    ['::', 96],
    ['64:ff9b:1::', 48],
    ['fc00::', 7],
    ['fe80::', 10],
    ['fec0::', 10],
    ['ff00::', 8],
  ),
);

/** An IPv4 address as the groups that it takes in one of IPv6. */
function inHex(address: string): string {
  const [a = 0, b = 0, c = 0, d = 0] = address.split('.').map(Number);
  return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
}
