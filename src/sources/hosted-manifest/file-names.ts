import { lastSegment, toPlainName, type ArtifactRole } from '../../image.ts';
import type { HostedManifest } from './manifest.ts';

const ROLES = ['kernel', 'rootfs', 'initrd'] as const;
const RECORD = 'manifest.json';

/**
 * The name of each file in the bundle: given, else derived from where it comes from. Derived names that meet another, or the name
 * of the record, get their role in front; case does not make a difference.
 */
export function fileNamesOf(manifest: HostedManifest): Readonly<Record<ArtifactRole, string>> {
  const names = {
    kernel: manifest.kernel.fileName ?? derived('kernel', manifest),
    rootfs: manifest.rootfs.fileName ?? derived('rootfs', manifest),
    initrd: manifest.initrd?.fileName ?? derived('initrd', manifest),
  };
  const there = ROLES.filter((role) => manifest[role] !== undefined);
  const meets = (role: ArtifactRole): boolean =>
    [RECORD, ...there.filter((other) => other !== role).map((other) => names[other])].some(
      (name) => name.toLowerCase() === names[role].toLowerCase(),
    );
  for (const role of there.filter((one) => manifest[one]?.fileName === undefined && meets(one))) {
    do names[role] = `${role}-${names[role]}`.slice(0, 128);
    while (meets(role));
  }
  return names;
}

function derived(role: ArtifactRole, manifest: HostedManifest): string {
  const { url, path, compressed } = manifest[role] ?? {};
  const last = lastSegment(url ?? path ?? '');
  const segment = compressed === undefined ? last : last.replace(/\.(?:zst|gz|xz)$/i, '');
  if (segment !== '') return toPlainName(segment);
  return { kernel: 'vmlinux', rootfs: `rootfs.${manifest.rootfsType}`, initrd: 'initrd' }[role];
}
