import { readFile } from 'node:fs/promises';
import { validateHeaderName, validateHeaderValue } from 'node:http';
import { join } from 'node:path';
import { SmartVMError, messageOf } from '../errors.ts';
import type { TransferSettings } from '../settings.ts';
import { isLoopback } from './address.ts';
import { loginFrom } from './netrc.ts';

/** These say how an answer is sent, or belong to the connection: they are not the user's. */
const OURS: readonly string[] = [
  'accept-encoding',
  'connection',
  'content-length',
  'expect',
  'host',
  'if-match',
  'if-range',
  'keep-alive',
  'proxy-authorization',
  'range',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
];

/** What was configured to be said to one origin each, and to nobody else. */
export class Credentials {
  readonly #settings: TransferSettings;
  #netrc: Promise<string> | undefined;

  constructor(settings: TransferSettings) {
    this.#settings = settings;
  }

  /**
   * The header fields for this URL, by their lower-case names: those that were given for its origin, and what `.netrc` says of its
   * host, over TLS or on this machine.
   *
   * Rejects with `TRANSFER_REFUSED` for a header field that cannot be sent, and for a `$NETRC` that cannot be read.
   */
  async headersFor(url: URL): Promise<Readonly<Record<string, string>>> {
    const headers = this.#given(url.origin);
    if (headers['authorization'] !== undefined || (url.protocol !== 'https:' && !isLoopback(url))) return headers;
    const found = loginFrom(await this.#netrcText(), url.hostname.replace(/^\[|\]$/g, ''));
    if (found === undefined) return headers;
    const pair = Buffer.from(`${found.login}:${found.password}`).toString('base64');
    return { ...headers, authorization: `Basic ${pair}` };
  }

  #given(origin: string): Record<string, string> {
    const headers: Record<string, string> = {};
    for (const [place, fields] of Object.entries(this.#settings.headers ?? {})) {
      if (originOf(place) !== origin) continue;
      for (const [name, value] of Object.entries(fields)) {
        headers[name.toLowerCase()] = value;
        requireField(origin, name, value);
      }
    }
    return headers;
  }

  async #netrcText(): Promise<string> {
    this.#netrc ??= readNetrc(this.#settings.env);
    try {
      return await this.#netrc;
    } catch (error) {
      this.#netrc = undefined;
      throw error;
    }
  }
}

/** The origin that a key of `headers` means: a bare host stands for its https. */
function originOf(place: string): string {
  const address = place.includes('://') ? place : `https://${place}`;
  if (URL.canParse(address)) return new URL(address).origin;
  throw new SmartVMError(`Refused header fields for ${JSON.stringify(place)}: it is no origin`, 'TRANSFER_REFUSED', {
    hint: 'Name an origin like https://images.example, or a host for its https.',
  });
}

function requireField(origin: string, name: string, value: string): void {
  if (!OURS.includes(name.toLowerCase())) {
    try {
      validateHeaderName(name);
      validateHeaderValue(name, value);
      return;
    } catch {
      // Node's words are not taken: what follows says the same, and never the value.
    }
  }
  throw new SmartVMError(
    `Refused the header field ${JSON.stringify(name)} for ${origin}: it cannot be sent`,
    'TRANSFER_REFUSED',
    { hint: `Names are tokens, values have no line breaks, and these are set by smartvm: ${OURS.join(', ')}.` },
  );
}

/** The text of `$NETRC`, else of `~/.netrc` where there is one. */
async function readNetrc(env: TransferSettings['env']): Promise<string> {
  const named = env?.['NETRC'];
  const home = env?.['HOME'];
  if (named) {
    return await readFile(named, 'utf8').catch((error: unknown) => {
      throw new SmartVMError(`Failed to read NETRC=${named}: ${messageOf(error)}`, 'TRANSFER_REFUSED', {
        cause: error,
        hint: 'Correct the variable, or unset it: then ~/.netrc is read.',
      });
    });
  }
  // As for curl: a file that is not ours to read is as good as none.
  return home ? await readFile(join(home, '.netrc'), 'utf8').catch(() => '') : '';
}
