import { SmartVMError } from '../errors.ts';
import { shown } from './address.ts';

/**
 * Where the bytes of an address are looked for, in order. `direct` stands for the address itself, which comes last where the list does
 * not name it; `off` ends the list. Any other entry is a place that has everything under `<host>/<path>`, or `<beginning>=<place>`: what
 * begins like that, with the place in stead of the beginning. A query stays behind: it may be signed, for that one host.
 *
 * @throws SmartVMError `TRANSFER_REFUSED` when nowhere is left to ask.
 */
export function placesFor(address: string, mirrors: readonly string[]): readonly string[] {
  const places: string[] = [];
  const list = mirrors.some((entry) => entry === 'direct' || entry === 'off') ? mirrors : [...mirrors, 'direct'];
  for (const entry of list) {
    if (entry === 'off') break;
    const place = entry === 'direct' ? address : placeIn(entry, address);
    if (place !== undefined && !places.includes(place)) places.push(place);
  }
  if (places.length > 0) return places;
  throw new SmartVMError(
    `Refused to ask ${shown(address)}: the mirrors ${mirrors.map((entry) => JSON.stringify(entry)).join(', ')} have no place for it, and "off" forbids its own`,
    'TRANSFER_REFUSED',
    { hint: 'Name a mirror that has it, or end the list (mirrors, SMARTVM_MIRRORS) with "direct".' },
  );
}

/** The address in a mirror; `undefined` when the mirror is not for it. */
function placeIn(mirror: string, address: string): string | undefined {
  const [, beginning, place] = /^(https?:\/\/[^\s=]+)=(https?:\/\/\S+)$/i.exec(mirror) ?? [];
  if (beginning === undefined || place === undefined) {
    const { host, pathname } = new URL(address);
    return `${withoutSlash(mirror)}/${host}${pathname}`;
  }
  // As both are written when they are asked for: without a default port, hosts in lower case.
  const { origin, pathname } = new URL(address);
  const [here, from] = [`${origin}${pathname}`, withoutSlash(new URL(beginning).href)];
  const rest = here.slice(from.length);
  const isBelow = here.startsWith(from) && /^(?:\/|$)/.test(rest);
  return isBelow ? `${withoutSlash(place)}${rest}` : undefined;
}

function withoutSlash(address: string): string {
  return address.replace(/\/+$/, '');
}
