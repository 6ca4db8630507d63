import * as z from 'zod';
import type { ArtifactManifest, HostedManifest } from './manifest.ts';

const PLAIN_NAME = /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,128}$/;
const BUNDLE_ID = /^(?!\.)[A-Za-z0-9._-]{1,128}$/;
const NOT_THE_RECORD = /^(?![mM][aA][nN][iI][fF][eE][sS][tT]\.[jJ][sS][oO][nN]$)/;
const RELEASE = /^v(?:0|[1-9]\d{0,5})(?:\.(?:0|[1-9]\d{0,5})){2}$/;
const ROLES = ['kernel', 'rootfs', 'initrd'] as const;

/** Rules about several fields run too when one of them is wrong by itself, so that all problems are told at once. */
const always = {
  when: ({ value }: { readonly value: unknown }): boolean => typeof value === 'object' && value !== null,
};

const sha256 = z.string().regex(/^[0-9a-fA-F]{64}$/, 'must be 64 hex digits');
const sizeBytes = z.int('must be an integer').min(0, 'must not be negative');

const compressed = z.object({
  format: z.enum(['zstd', 'gzip', 'xz'], 'must be zstd, gzip or xz'),
  sha256: sha256.optional().describe('SHA-256 of the file as it lies there; needed with url'),
  sizeBytes: sizeBytes.optional().describe('Exact size of the file as it lies there'),
});

const artifact = z
  .object({
    url: z.string().min(1).max(8192).optional().describe('Where the file is: a whole https: address'),
    path: z
      .string()
      .min(1)
      .max(4096)
      .optional()
      .describe(
        'A file on this disk, relative to the folder of the manifest; only in a manifest that is on this disk too',
      ),
    fileName: z
      .string()
      .regex(PLAIN_NAME, 'must be a plain name: letters, digits, ".", "_", "-", at most 128')
      .regex(NOT_THE_RECORD, 'must not be manifest.json, which is the record of the bundle')
      .optional()
      .describe(
        'Name of the file in the bundle; default: the last part of url or path, without .zst, .gz or .xz when it is compressed',
      ),
    sha256: sha256.optional().describe('SHA-256 of the file as it is stored; needed with url'),
    sizeBytes: sizeBytes
      .optional()
      .describe('Exact size of the file as it is stored; needed with compressed, where no more than this is unpacked'),
    compressed: compressed
      .optional()
      .describe('How the file lies there when it is to be unpacked; without it, it is stored as it is'),
  })
  .refine(({ url, path }) => url !== undefined || path !== undefined, { error: 'needs url or path', ...always })
  .refine(({ url, path }) => url === undefined || path === undefined, {
    error: 'has both url and path; give one',
    ...always,
  })
  .refine(({ url, sha256 }) => url === undefined || sha256 !== undefined, {
    error: 'with url requires sha256',
    ...always,
  })
  .refine(({ compressed, sizeBytes }) => compressed === undefined || sizeBytes !== undefined, {
    error: 'with compressed requires sizeBytes, the size of the plain file',
    ...always,
  })
  .refine(
    ({ url, compressed }) =>
      url === undefined || compressed === undefined || fieldOf(compressed, 'sha256') !== undefined,
    {
      error: 'with url and compressed requires compressed.sha256, the digest of the file at url',
      ...always,
    },
  )
  .meta({
    anyOf: [
      {
        required: ['url', 'sha256'],
        not: { required: ['path'] },
        properties: { compressed: { required: ['sha256'] } },
      },
      { required: ['path'], not: { required: ['url'] } },
    ],
    dependentRequired: { compressed: ['sizeBytes'] },
  });

/** Hosted manifests, version 1. Fields that are not named here are ignored. */
export const hostedManifest = z
  .object({
    schemaVersion: z.literal(1, 'must be the number 1'),
    bundleId: z
      .string()
      .regex(BUNDLE_ID, 'must be letters, digits, ".", "_" and "-", at most 128, without a leading dot')
      .describe('Names the bundle: letters, digits, ".", "_" and "-", at most 128, no leading dot'),
    name: z.string().optional().describe('For people; never read'),
    arch: z.enum(['x86_64', 'aarch64'], 'must be x86_64 or aarch64'),
    firecrackerVersion: z
      .string()
      .regex(RELEASE, 'must be like v1.15.1')
      .describe('The Firecracker release the image is meant for'),
    rootfsType: z.enum(['ext4', 'squashfs'], 'must be ext4 or squashfs'),
    rootfsIsReadOnly: z.boolean().optional().describe('Default: true exactly for squashfs, where it cannot be false'),
    bootArgs: z
      .string()
      .max(2048, 'must be at most 2048 characters')
      .regex(/^[\u0020-\u007e]*$/, 'must be printable ASCII on one line')
      .optional()
      .describe('Kernel arguments; default: built from arch, rootfsType and rootfsIsReadOnly'),
    kernel: artifact,
    rootfs: artifact,
    initrd: artifact.optional(),
  })
  .refine(({ rootfsType, rootfsIsReadOnly }) => rootfsType !== 'squashfs' || rootfsIsReadOnly !== false, {
    error: 'must not be false: squashfs cannot be written',
    path: ['rootfsIsReadOnly'],
    ...always,
  })
  .refine((manifest) => sharedName(manifest) === undefined, {
    error: ({ input }) => `gives two files the fileName ${JSON.stringify(sharedName(input))}; case makes no difference`,
    ...always,
  });

// Does not compile when the interfaces that users see and the schemas that read do not say the same.
type Same<A, B> = [A, Required<A>] extends [B, Required<B>]
  ? [B, Required<B>] extends [A, Required<A>]
    ? true
    : never
  : never;
true satisfies Same<HostedManifest, z.input<typeof hostedManifest>>;
true satisfies Same<ArtifactManifest, z.input<typeof artifact>>;

function sharedName(manifest: unknown): string | undefined {
  const seen = new Set<string>();
  for (const role of ROLES) {
    const fileName = fieldOf(fieldOf(manifest, role), 'fileName');
    if (typeof fileName !== 'string') continue;
    if (seen.has(fileName.toLowerCase())) return fileName;
    seen.add(fileName.toLowerCase());
  }
  return undefined;
}

/** A field of something that may be anything. */
export function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? (value as Readonly<Record<string, unknown>>)[name]
    : undefined;
}
