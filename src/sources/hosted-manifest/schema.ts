import { z } from 'zod';
import { isBundleId, isPlainName } from '../../image.ts';

const sha256 = z
  .string()
  .regex(/^[0-9a-fA-F]{64}$/, 'must be 64 hex digits')
  .describe('SHA-256 of the file, 64 hex digits');

const artifact = z
  .object({
    url: z.string().min(1).optional().describe('Where the file is; https:, or relative to nothing: give it whole'),
    path: z.string().min(1).optional().describe('A file beside the manifest; only in a manifest on this disk'),
    fileName: z
      .string()
      .refine(isPlainName, 'must be a plain name: letters, digits, ".", "_", "-", at most 128')
      .refine(
        (name) => name.toLowerCase() !== 'manifest.json',
        'must not be manifest.json, which is the record of the bundle',
      )
      .optional(),
    sha256: sha256.optional(),
    sizeBytes: z.int('must be an integer').min(0, 'must not be negative').optional(),
  })
  .superRefine(({ url, path, sha256: digest }, context) => {
    const refuse = (message: string): void => context.addIssue({ code: 'custom', message });
    if (url === undefined && path === undefined) refuse('needs url or path');
    if (url !== undefined && path !== undefined) refuse('has both url and path; give one');
    if (url !== undefined && digest === undefined) refuse('with url requires sha256');
  });

/** Hosted manifests, version 1. Fields that are not named here are ignored. */
export const hostedManifest = z
  .object({
    schemaVersion: z.literal(1, 'must be the number 1'),
    bundleId: z
      .string()
      .refine(isBundleId, 'must be letters, digits, ".", "_" and "-", at most 128, without a leading dot')
      .describe('Names the bundle: letters, digits, ".", "_" and "-", at most 128, no leading dot'),
    name: z.string().optional(),
    arch: z.enum(['x86_64', 'aarch64'], 'must be x86_64 or aarch64'),
    firecrackerVersion: z.string().regex(/^v\d+\.\d+\.\d+$/, 'must be like v1.15.1'),
    rootfsType: z.enum(['ext4', 'squashfs'], 'must be ext4 or squashfs'),
    rootfsIsReadOnly: z.boolean().optional().describe('Default: true exactly for squashfs'),
    bootArgs: z
      .string()
      .max(2048, 'must be at most 2048 characters')
      .regex(/^[\u0020-\u007e]*$/, 'must be printable ASCII on one line')
      .optional()
      .describe('Kernel arguments; default: built from arch and rootfsType'),
    kernel: artifact,
    rootfs: artifact,
    initrd: artifact.optional(),
  })
  .superRefine((manifest, context) => {
    const refuse = (path: string[], message: string): void => context.addIssue({ code: 'custom', path, message });
    if (manifest.rootfsType === 'squashfs' && manifest.rootfsIsReadOnly === false) {
      refuse(['rootfsIsReadOnly'], 'must not be false: squashfs cannot be written');
    }
    const names = new Map<string, string>();
    for (const role of ['kernel', 'rootfs', 'initrd'] as const) {
      const name = manifest[role]?.fileName?.toLowerCase();
      if (name === undefined) continue;
      const other = names.get(name);
      if (other !== undefined) refuse([role, 'fileName'], `is the name of the ${other} too`);
      names.set(name, role);
    }
  });

/** A manifest as it is written. */
export type HostedManifest = z.input<typeof hostedManifest>;
/** One file of a manifest as it is written. */
export type ArtifactManifest = z.input<typeof artifact>;
