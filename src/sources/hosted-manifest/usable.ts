import { messageOf } from '../../errors.ts';
import type { Arch } from '../../image.ts';
import { allowedUrl, isLoopback, shown, type TransferPolicy } from '../../transfer/address.ts';
import { fieldOf } from './schema.ts';

/** Where a manifest was read from, and what may be asked for its artifacts. */
export interface ManifestOrigin {
  readonly manifestUrl?: string;
  /** Absolute. */
  readonly manifestPath?: string;
  readonly policy: TransferPolicy;
}

/** What stands against using this manifest here, however well formed it is: each a field and why. */
export function problemsOfUse(manifest: unknown, origin: ManifestOrigin, wanted: Arch): string[] {
  const arch = fieldOf(manifest, 'arch');
  const otherArch = (arch === 'x86_64' || arch === 'aarch64') && arch !== wanted;
  return [
    ...(otherArch ? [`arch is ${arch}, and ${wanted} was asked for`] : []),
    ...['kernel', 'rootfs', 'initrd'].flatMap((role) => {
      const artifact = fieldOf(manifest, role);
      const url = fieldOf(artifact, 'url');
      const isPath = fieldOf(artifact, 'path') !== undefined;
      return [
        ...(isPath && origin.manifestPath === undefined
          ? [`${role}.path names a local file, which a manifest from the network may not`]
          : []),
        ...(typeof url === 'string' && url !== '' ? problemOfUrl(url, origin) : []).map((why) => `${role}.url: ${why}`),
      ];
    }),
  ];
}

/** An address that will never be asked is told with the manifest, before anything is fetched. */
function problemOfUrl(url: string, { policy, manifestUrl }: ManifestOrigin): string[] {
  try {
    const parsed = allowedUrl(url, policy);
    const fromAfar = manifestUrl !== undefined && !isLoopback(new URL(manifestUrl));
    return fromAfar && isLoopback(parsed) ? [`${shown(url)} is on this machine, and the manifest is not`] : [];
  } catch (error) {
    return [messageOf(error)];
  }
}
