import { basename } from 'node:path';
import type { Bundle } from '../index.ts';
import { plainLine } from './plain-text.ts';
import { formatFields } from './table.ts';

/** The files of a bundle and what they are booted with, one `name  value` line each; names have no spaces, values may. */
export function formatPaths(bundle: Bundle): string {
  return formatFields(
    pathsOf(bundle).flatMap(([name, value]) => (value === undefined ? [] : [[name, plainLine(value)] as const])),
  );
}

/** The same as assignments for a POSIX shell; what a bundle does not have is empty. */
export function formatShell(bundle: Bundle): string {
  return pathsOf(bundle)
    .map(([name, value = '']) => {
      return `SMARTVM_${name.toUpperCase().replace('-', '_')}='${value.replaceAll("'", "'\\''")}'\n`;
    })
    .join('');
}

/** The sum of the bundle's files. */
export function bytesOf({ sizes }: Bundle): number {
  return sizes.kernelBytes + sizes.rootfsBytes + (sizes.initrdBytes ?? 0);
}

/** Name of the bundle's folder: unlike the id it is never shared. */
export function folderOf(bundle: Bundle): string {
  return basename(bundle.bundleDir);
}

function pathsOf(bundle: Bundle): readonly (readonly [string, string | undefined])[] {
  return [
    ['bundle', bundle.bundleId],
    ['kernel', bundle.kernelImagePath],
    ['initrd', bundle.initrdPath],
    ['rootfs', bundle.rootfsPath],
    ['boot-args', bundle.bootArgs],
  ];
}
