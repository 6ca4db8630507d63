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
  const places = mirrors.flatMap((mirror) => mirror.split(/=(?=https?:)/).slice(-1));
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
  const named = mirrors ?? (env['SMARTVM_MIRRORS'] ?? '').split(/[\s,]+/).filter((place) => place !== '');
  const option = mirrors === undefined ? 'SMARTVM_MIRRORS' : 'mirrors';
  for (const place of named) {
    const isPlace = place === 'direct' || place === 'off' || place.split(/=(?=https?:)/).every(isAddress);
    if (!isPlace) {
      throw wrong(
        `${option} must be addresses, <beginning>=<place>, "direct" or "off", got ${JSON.stringify(place.slice(0, 200))}`,
        'For example https://mirror.example/images, or https://images.example/sets=https://mirror.example/sets.',
      );
    }
  }
  return named;
}

function isAddress(text: string): boolean {
  if (!URL.canParse(text) || !/^https?:\/\/[^=]*$/i.test(text)) return false;
  const { username, password, search, hash } = new URL(text);
  return username === '' && password === '' && search === '' && hash === '';
}

function limitsFrom({ limits = {} }: BaseImageManagerOptions): Partial<TransferLimits> {
  const given: Partial<Record<keyof TransferLimits, number>> = {};
  for (const [name, value] of Object.entries(limits)) {
    if (!isLimit(name)) {
      throw wrong(`limits.${name} is no limit`, `The limits are ${Object.keys(LEAST).join(', ')}.`);
    }
    const limit = wholeNumber(`limits.${name}`, value, LEAST[name], name.endsWith('Ms') ? MOST_MS : 2 ** 40);
    if (limit !== undefined) given[name] = limit;
  }
  return given;
}

/** Header fields by the origin they are for; their values are never shown. */
function headersFrom({ headers = {} }: BaseImageManagerOptions): NonNullable<SourceSettings['headers']> {
  const byOrigin: Record<string, Record<string, string>> = {};
  for (const [key, fields] of Object.entries(headers)) {
    const address = key.includes('://') ? key : `https://${key}`;
    if (!isAddress(address) || !/^\/?$/.test(new URL(address).pathname)) {
      throw wrong(
        `headers must be named by an origin or a host, got ${JSON.stringify(key.slice(0, 200))}`,
        'For example https://images.example, or images.example for the same.',
      );
    }
    for (const [name, value] of Object.entries(fields)) {
      const isField = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name) && /^[\t\u0020-\u007e\u0080-\u00ff]*$/.test(value);
      if (!isField)
        throw wrong(
          `headers[${JSON.stringify(key)}][${JSON.stringify(name)}] is no header field`,
          'One line, and a name of letters.',
        );
    }
    byOrigin[new URL(address).origin] = { ...byOrigin[new URL(address).origin], ...fields };
  }
  return byOrigin;
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
