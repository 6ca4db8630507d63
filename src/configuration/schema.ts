import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import * as z from 'zod';
import type { BaseImageManagerOptions } from '../options.ts';
import type { TransferLimits } from '../settings.ts';

const SIZE = /^(\d+(?:\.\d+)?)([KMG])$/;

const address = z.url({ protocol: /^https?$/, error: 'must be an http: or https: address' });
const milliseconds = z
  .int('must be an integer')
  .min(1)
  .max(2 ** 31 - 1);
const count = z.int('must be an integer').min(0);
const SIZE_WORDS = 'must be bytes, or a text like "500K", "5M" or "20G"';
const size = z.union([z.int(SIZE_WORDS).min(1, SIZE_WORDS), z.string(SIZE_WORDS).regex(SIZE, SIZE_WORDS)], SIZE_WORDS);

const limits = z.strictObject({
  connectTimeoutMs: milliseconds.optional(),
  firstByteTimeoutMs: milliseconds.optional(),
  idleTimeoutMs: milliseconds.optional(),
  lowSpeedBytesPerSecond: count.optional(),
  lowSpeedMs: milliseconds.optional(),
  maxRedirects: count.optional(),
  retries: count.optional(),
  maxRetryAfterMs: count.optional(),
  maxDocumentBytes: z.int().min(1).optional(),
} satisfies Record<keyof TransferLimits, z.ZodType>);

/** The configuration file, version 1: any of these fields, and no others. */
export const configuration = z.strictObject({
  $schema: z.string().optional().describe('For editors; never read'),
  cacheDir: z
    .string()
    .refine((path) => isAbsolute(path) || path.startsWith('~/'), 'must be absolute, or begin with ~/')
    .optional()
    .describe('Where the images are; absolute, or below ~/'),
  bucketUrl: address.optional().describe("A bucket laid out like Firecracker's"),
  releasesUrl: address.optional().describe('An address that redirects to the newest Firecracker release'),
  allowHttp: z.array(address).optional().describe('Origins that may be spoken to without TLS'),
  mirrors: z.array(z.string().min(1)).optional().describe('Other places for the same bytes, in their order'),
  headers: z
    .record(z.string(), z.record(z.string(), z.string()))
    .optional()
    .describe('Header fields for one origin each; the file must be readable by its owner alone then'),
  limits: limits.optional().describe('How long and how far a transfer may go'),
  connections: z.int().min(1).max(64).optional().describe('Connections at once, all together'),
  limitRate: size.optional().describe('Bytes a second, all transfers together: a number, or a text like "5M"'),
  maxStoredBaseImages: z.int().min(1).optional().describe('How many images are kept'),
  maxStoredBytes: size.optional().describe('How many bytes they may have: a number, or a text like "20G"'),
  minimumTrust: z
    .enum(['first-use', 'published', 'signed', 'pinned'])
    .optional()
    .describe('Refuse what is trusted less'),
  firecrackerVersion: z.string().optional().describe('The Firecracker release that images are for, like v1.15.1'),
  verify: z.literal('always').optional().describe('Hash every file on every call'),
  preferOffline: z.boolean().optional().describe('Answer from the cache when it has an answer'),
  staleIfError: z.boolean().optional().describe('When nobody can be asked, answer from the cache'),
});

/** A parsed file as options, or what is wrong with it: each a field and why. Values are not told. */
export function optionsFrom(value: unknown): {
  readonly options: Partial<BaseImageManagerOptions>;
  readonly problems: readonly string[];
} {
  const parsed = configuration.safeParse(value);
  if (!parsed.success) {
    const problems = parsed.error.issues.map(
      ({ path, message }) => `${path.length === 0 ? 'the file' : path.join('.')}: ${message}`,
    );
    return { options: {}, problems };
  }
  const { $schema: _, cacheDir, limitRate, maxStoredBytes, ...same } = parsed.data;
  const options = {
    ...same,
    cacheDir: cacheDir?.startsWith('~/') === true ? join(homedir(), cacheDir.slice(2)) : cacheDir,
    bytesPerSecond: limitRate === undefined ? undefined : bytesOf(limitRate),
    maxStoredBytes: maxStoredBytes === undefined ? undefined : bytesOf(maxStoredBytes),
  };
  const given = Object.entries(options).filter(([, field]) => field !== undefined);
  return { options: Object.fromEntries(given), problems: [] };
}

function bytesOf(text: number | string): number {
  if (typeof text === 'number') return text;
  const [, number = '', unit = ''] = SIZE.exec(text) ?? [];
  return Math.floor(Number(number) * 1024 ** (1 + 'KMG'.indexOf(unit)));
}
