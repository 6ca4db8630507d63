import { BlockList, isIP } from 'node:net';

/**
 * True when `NO_PROXY` excepts the host of this URL: `*`, a domain with everything below it, an address, a subnet (`10.0.0.0/8`),
 * each but a subnet with a port or without; separated by commas or blanks.
 */
export function isExempt(url: URL, list: string): boolean {
  const host = url.hostname.replace(/^\[|\]$|\.$/g, '');
  const port = url.port || (url.protocol === 'https:' ? '443' : '80');
  return list
    .toLowerCase()
    .split(/[\s,]+/)
    .some((entry) => entry !== '' && covers(entry, host, port));
}

function covers(entry: string, host: string, port: string): boolean {
  if (entry === '*') return true;
  if (entry.includes('/')) return isWithin(entry, host);
  const [name, ofPort] = split(entry);
  if (ofPort !== undefined && ofPort !== port) return false;
  if (isIP(host) !== 0 || isIP(name) !== 0) return isWithin(name, host);
  const domain = name.replace(/^\*?\./, '').replace(/\.$/, '');
  return domain !== '' && (host === domain || host.endsWith(`.${domain}`));
}

/** Name and port of an entry; an IPv6 address has its port behind brackets. */
function split(entry: string): [name: string, port: string | undefined] {
  if (isIP(entry) === 6) return [entry, undefined];
  const found = /^(?:\[(?<address>[^\]]*)\]|(?<name>[^:]*))(?::(?<port>\d+))?$/.exec(entry)?.groups;
  return [found?.['address'] ?? found?.['name'] ?? entry, found?.['port']];
}

function isWithin(subnet: string, address: string): boolean {
  const [base = '', prefix] = subnet.split('/');
  const [family, ofAddress] = [isIP(base), isIP(address)];
  const widest = family === 6 ? 128 : 32;
  const bits = prefix === undefined ? widest : /^\d{1,3}$/.test(prefix) ? Number(prefix) : Infinity;
  if (family === 0 || ofAddress === 0 || bits > widest) return false;
  const list = new BlockList();
  list.addSubnet(base, bits, family === 6 ? 'ipv6' : 'ipv4');
  return list.check(address, ofAddress === 6 ? 'ipv6' : 'ipv4');
}
