import * as z from 'zod';
import type { LockFile, LockedArtifact, LockedImage } from './lock.ts';

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hex digits');

const compressed = z.object({
  format: z.enum(['zstd', 'gzip', 'xz']),
  sha256: sha256.describe('Of the file at url'),
  bytes: z.int().min(0).optional().describe('Size of the file at url'),
});

const artifact = z.object({
  fileName: z.string().regex(/^(?!\.{1,2}$)[A-Za-z0-9._-]{1,128}$/, 'must be a plain name'),
  url: z
    .url({ protocol: /^https?$/, error: 'must be an http: or https: address' })
    .max(8192)
    .optional()
    .describe('Where it was fetched from; absent for what is made on a machine'),
  bytes: z.int().min(0),
  sha256,
  etag: z.string().max(300).optional().describe('What the server called this content, quotes included'),
  modifiedAt: z.string().max(40).optional().describe('When it was last changed there, ISO 8601'),
  compressed: compressed.optional().describe('How it lies at url, where that is not as it is stored'),
});

const image = z.object({
  preset: z.enum(['latest', 'stable', 'lts', 'hosted', 'ci', 'debian', 'custom']),
  bundleId: z.string().regex(/^(?!\.)[A-Za-z0-9._-]{1,128}$/, 'must be the id of a bundle'),
  ciVersion: z.string().max(128),
  firecrackerVersion: z.string().regex(/^v\d+\.\d+\.\d+$/, 'must be like v1.15.1'),
  rootfsType: z.enum(['ext4', 'squashfs']),
  rootfsIsReadOnly: z.boolean(),
  bootArgs: z
    .string()
    .max(4096)
    .regex(/^[\u0020-\u007e]*$/, 'must be printable ASCII on one line'),
  source: z.looseObject({ type: z.enum(['firecracker-ci', 'hosted-manifest', 'debian', 'custom']) }),
  trust: z
    .enum(['pinned', 'signed', 'published', 'first-use'])
    .describe('How far its digests were to be trusted when they were written down'),
  artifacts: z.object({ kernel: artifact, rootfs: artifact, initrd: artifact.optional() }),
});

/** `smartvm.lock`, version 1: by reference, then by architecture. */
export const lockFile = z.object({
  lockVersion: z.literal(1),
  images: z.record(
    z.string().max(4096).describe('The reference as it is asked for, with the choices made within it'),
    z.object({ x86_64: image.optional(), aarch64: image.optional() }),
  ),
});

// Does not compile when the interfaces and the schemas do not say the same.
type Same<A, B> = [A, Required<A>] extends [B, Required<B>]
  ? [B, Required<B>] extends [A, Required<A>]
    ? true
    : never
  : never;
true satisfies Same<LockFile, z.infer<typeof lockFile>>;
true satisfies Same<LockedImage, z.infer<typeof image>>;
true satisfies Same<LockedArtifact, z.infer<typeof artifact>>;
