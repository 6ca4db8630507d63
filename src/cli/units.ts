const SECONDS: Readonly<Record<string, number>> = { ms: 0.001, s: 1, m: 60, min: 60, h: 3600 };
const MEBIBYTES: Readonly<Record<string, number>> = { m: 1, g: 1024 };

/**
 * Reads a length of time (`90s`, `2m`, `1500ms`) as milliseconds.
 *
 * @throws Error whose message says what would be right.
 */
export function parseDuration(text: string): number {
  const [, number = '', unit = ''] = /^(\d+(?:\.\d+)?)(ms|s|m|min|h)$/.exec(text.trim()) ?? [];
  const milliseconds = Math.round(Number(number) * (SECONDS[unit] ?? 0) * 1000);
  if (milliseconds > 0 && milliseconds <= 0x7fffffff) return milliseconds;
  throw new Error('must be a length of time with its unit, like 90s or 2m');
}

/**
 * Reads a size of memory (`512M`, `2G`, `1.5GiB`) as MiB.
 *
 * @throws Error whose message says what would be right.
 */
export function parseMemory(text: string): number {
  const [, number = '', unit = ''] = /^(\d+(?:\.\d+)?)([MG])(?:iB|B)?$/i.exec(text.trim()) ?? [];
  const mebibytes = Number(number) * (MEBIBYTES[unit.toLowerCase()] ?? 0);
  if (Number.isSafeInteger(mebibytes) && mebibytes > 0) return mebibytes;
  throw new Error('must be a whole number of MiB with its unit, like 512M or 2G');
}

/**
 * Reads a rate as curl does (`5M`, `500K`, `1.5M`, `4096`; powers of 1024) as bytes a second.
 *
 * @throws Error whose message says what would be right.
 */
export function parseRate(text: string): number {
  const [, number = '', unit = ''] = /^(\d+(?:\.\d+)?)([KMG]?)$/i.exec(text.trim()) ?? [];
  const bytes = number === '' ? NaN : Math.floor(Number(number) * 1024 ** ' KMG'.indexOf(unit.toUpperCase() || ' '));
  if (Number.isSafeInteger(bytes) && bytes > 0) return bytes;
  throw new Error('must be bytes a second, like 5M, 500K or 4096');
}

/**
 * Reads a place where bytes may be had as well: an address, `<beginning>=<place>`, `direct` or `off`.
 *
 * @throws Error whose message says what would be right.
 */
export function parsePlace(text: string): string {
  const isPlace = text.split(/=(?=https?:)/).every((part) => URL.canParse(part) && /^https?:\/\/[^=]*$/i.test(part));
  if (isPlace || text === 'direct' || text === 'off') return text;
  throw new Error('must be an address, <beginning>=<place>, direct or off, like https://mirror.example/images');
}

/**
 * Reads a whole number of at least `least`.
 *
 * @throws Error whose message says what would be right.
 */
export function parseCount(text: string, least: number): number {
  const count = /^\d{1,9}$/.test(text) ? Number(text) : NaN;
  if (count >= least) return count;
  throw new Error(`must be a whole number of at least ${least}`);
}

/**
 * Reads one of several words.
 *
 * @throws Error whose message names them.
 */
export function parseChoice<T extends string>(text: string, choices: readonly T[]): T {
  const choice = choices.find((one) => one === text);
  if (choice !== undefined) return choice;
  throw new Error(`must be one of ${choices.join(', ')}`);
}

/** `712 B`, `3.4 MiB`, `1.2 GiB`. */
export function formatBytes(bytes: number): string {
  return `${inUnit(bytes, unitFor(bytes))} ${unitFor(bytes)}`;
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;
export type ByteUnit = (typeof UNITS)[number];

/** The unit in which this many bytes have one to four digits before the point. */
export function unitFor(bytes: number): ByteUnit {
  const step = bytes < 1 ? 0 : Math.floor(Math.log2(bytes) / 10);
  return UNITS[Math.min(step, UNITS.length - 1)] ?? 'B';
}

/** The number alone, with one digit behind the point except for bytes. */
export function inUnit(bytes: number, unit: ByteUnit): string {
  return unit === 'B' ? String(Math.round(bytes)) : (bytes / 1024 ** UNITS.indexOf(unit)).toFixed(1);
}

/** How long ago: `just now`, `5 min ago`, `3 h ago`, `12 days ago`. */
export function formatAge(milliseconds: number): string {
  const minutes = Math.floor(milliseconds / 60_000);
  if (!(minutes >= 1)) return 'just now';
  if (minutes < 60) return `${minutes} min ago`;
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h ago`;
  return `${Math.floor(minutes / (24 * 60))} days ago`;
}

/** `8.3 s`, `0.2 s`, `2 min 5 s`. */
export function formatSeconds(milliseconds: number): string {
  if (milliseconds < 60_000) return `${(milliseconds / 1000).toFixed(1)} s`;
  const seconds = Math.round(milliseconds / 1000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}
