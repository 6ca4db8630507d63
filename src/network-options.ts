import { SmartVMError } from './errors.ts';
import type { BaseImageManagerOptions } from './options.ts';
import type { SourceSettings, TransferLimits } from './settings.ts';

const FIRECRACKER_BUCKET_URL = 'https://s3.amazonaws.com/spec.ccfc.min';
const FIRECRACKER_RELEASES_URL = 'https://github.com/firecracker-microvm/firecracker/releases/latest';

/** The least that each limit may be. */
const LEAST: Readonly<Record<keyof TransferLimits, 0 | 1>> = {
  connectTimeoutMs: 1,
  firstByteTimeoutMs: 1,
  idleTimeoutMs: 1,
  lowSpeedBytesPerSecond: 0,
  lowSpeedMs: 1,
  maxRedirects: 0,
  retries: 0,
  maxRetryAfterMs: 0,
  maxDocumentBytes: 1,
};
/** Node's timers hold no more. */
const MOST_MS = 2 ** 31 - 1;
const MAX_CONNECTIONS = 64;

/**
 * How the network is spoken to: what is given, what the environment says, and the defaults. Origins that the caller named himself
 * (bucket, releases, mirrors) may be spoken to without TLS.
 *
 * @throws SmartVMError `INVALID_BASE_IMAGE_OPTIONS`, naming the option and its value.
 */
export function sourceSettingsFrom(options: BaseImageManagerOptions, env: NodeJS.ProcessEnv): SourceSettings {
  const bucketUrl = options.bucketUrl || env['SMARTVM_BUCKET_URL'];
  const releasesUrl = options.releasesUrl || env['SMARTVM_RELEASES_URL'];
  const mirrors = mirrorsFrom(options, env);
  const places = mirrors.flatMap((mirror) => mirror.split(/=(?=https?:)/i).slice(-1));
  const configured = [bucketUrl, releasesUrl, ...places].filter((url) => url !== undefined && URL.canParse(url));
  const { connections, bytesPerSecond } = options;
  return {
    env,
    limits: limitsFrom(options),
    mirrors,
    connections: wholeNumber('connections', connections, 1, MAX_CONNECTIONS),
    bytesPerSecond: wholeNumber('bytesPerSecond', bytesPerSecond, 1, Number.MAX_SAFE_INTEGER),
    headers: headersFrom(options),
    bucketUrl: (bucketUrl || FIRECRACKER_BUCKET_URL).replace(/\/+$/, ''),
    releasesUrl: releasesUrl || FIRECRACKER_RELEASES_URL,
    allowHttp: [...(options.allowHttp ?? []), ...configured.map((url) => new URL(url ?? '').origin)],
  };
}

function mirrorsFrom({ mirrors }: BaseImageManagerOptions, env: NodeJS.ProcessEnv): readonly string[] {
  const named: unknown = mirrors ?? (env['SMARTVM_MIRRORS'] ?? '').split(/[\s,]+/).filter((place) => place !== '');
  const option = mirrors === undefined ? 'SMARTVM_MIRRORS' : 'mirrors';
  if (!Array.isArray(named)) throw wrong(`${option} must be a list, got ${given(named)}`, MIRRORS_HINT);
  return named.map((place: unknown) => {
    if (isPlace(place)) return place;
    throw wrong(
      `${option} must be addresses, <beginning>=<place>, "direct" or "off", got ${given(place)}`,
      MIRRORS_HINT,
    );
  });
}

const MIRRORS_HINT =
  'For example https://mirror.example/images, or https://images.example/sets=https://mirror.example/sets.';

function isPlace(place: unknown): place is string {
  if (typeof place !== 'string') return false;
  return place === 'direct' || place === 'off' || place.split(/=(?=https?:)/i).every(isAddress);
}

function isAddress(text: string): boolean {
  if (!URL.canParse(text) || !/^https?:\/\/[^=]*$/i.test(text)) return false;
  const { username, password, search, hash } = new URL(text);
  return username === '' && password === '' && search === '' && hash === '';
}

function limitsFrom({ limits }: BaseImageManagerOptions): Partial<TransferLimits> {
  const set: Partial<Record<keyof TransferLimits, number>> = {};
  for (const [name, value] of fieldsOf('limits', limits ?? {})) {
    if (!isLimit(name)) {
      throw wrong(`limits.${name} is no limit`, `The limits are ${Object.keys(LEAST).join(', ')}.`);
    }
    const limit = wholeNumber(`limits.${name}`, value, LEAST[name], name.endsWith('Ms') ? MOST_MS : 2 ** 40);
    if (limit !== undefined) set[name] = limit;
  }
  return set;
}

/** Header fields by the origin they are for; their values are never shown. */
function headersFrom({ headers }: BaseImageManagerOptions): NonNullable<SourceSettings['headers']> {
  const byOrigin: Record<string, Record<string, string>> = {};
  for (const [key, fields] of fieldsOf('headers', headers ?? {})) {
    const address = key.includes('://') ? key : `https://${key}`;
    if (!isAddress(address) || !/^\/?$/.test(new URL(address).pathname)) {
      throw wrong(
        `headers must be named by an origin or a host, got ${given(key)}`,
        'For example https://images.example, or images.example for the same.',
      );
    }
    const { origin } = new URL(address);
    for (const [name, value] of fieldsOf(`headers[${JSON.stringify(key)}]`, fields)) {
      if (!isField(name, value))
        throw wrong(
          `headers[${JSON.stringify(key)}][${JSON.stringify(name)}] is no header field`,
          'One line, and a name of letters.',
        );
      byOrigin[origin] = { ...byOrigin[origin], [name]: value };
    }
  }
  return byOrigin;
}

function isField(name: string, value: unknown): value is string {
  const isToken = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name);
  return isToken && typeof value === 'string' && /^[\t\u0020-\u007e\u0080-\u00ff]*$/.test(value);
}

/** Options come from programs that no compiler has checked, too. */
function fieldsOf(option: string, value: unknown): readonly [name: string, value: unknown][] {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return Object.entries(value);
  throw wrong(`${option} must be an object, got ${given(value)}`, 'Leave it out for the default.');
}

/** A value as it may be shown: without the password of an address. */
function given(value: unknown): string {
  return JSON.stringify([value])
    .slice(1, -1)
    .replace(/\/\/.*@/, '//…@')
    .slice(0, 200);
}

function isLimit(name: string): name is keyof TransferLimits {
  return Object.hasOwn(LEAST, name);
}

function wholeNumber(option: string, value: unknown, least: number, most: number): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= least && value <= most) return value;
  const got = typeof value === 'number' ? String(value) : JSON.stringify(value);
  throw wrong(`${option} must be a whole number from ${least} to ${most}, got ${got}`, 'Leave it out for the default.');
}

function wrong(message: string, hint: string): SmartVMError {
  return new SmartVMError(message, 'INVALID_BASE_IMAGE_OPTIONS', { hint });
}
