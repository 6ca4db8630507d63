import { formatWanted, parseWantedKernel, type WantedKernel } from '../../compat/kernel-choice.ts';
import { CAPABILITIES, optionsOf } from '../../compat/capabilities.ts';
import { SmartVMError } from '../../errors.ts';
import type { Selection } from '../../image.ts';

/** What the caller wants of a set, read. */
export interface Wish {
  readonly kernel?: WantedKernel;
  readonly rootfs?: string;
  /** Known names, each once. */
  readonly require: readonly string[];
}

/**
 * Reads what a caller wants of a set.
 *
 * @throws SmartVMError `INVALID_BASE_IMAGE_OPTIONS`, naming the option, what was given and what would be right.
 */
export function wishFrom({ kernel, rootfs, require = [] }: Selection = {}): Wish {
  const wanted = kernel === undefined ? undefined : parseWantedKernel(kernel);
  if (kernel !== undefined && wanted === undefined) {
    throw wrong('kernel', kernel, 'Name a series (6.1), a version (6.1.155), or a flavour of one (5.10-no-acpi).');
  }
  if (rootfs !== undefined && !/^[A-Za-z0-9][A-Za-z0-9._+-]{0,100}$/.test(rootfs)) {
    throw wrong('rootfs', rootfs, 'Name a family (ubuntu, amazonlinux-2023) or a file (ubuntu-24.04.squashfs).');
  }
  for (const capability of require) {
    if (optionsOf(capability) !== undefined) continue;
    const known = Object.keys(CAPABILITIES).join(', ');
    throw wrong('require', capability, `Known: ${known}; or name an option of the kernel, like CONFIG_OVERLAY_FS.`);
  }
  return {
    ...(wanted === undefined ? {} : { kernel: wanted }),
    ...(rootfs === undefined ? {} : { rootfs }),
    require: [...new Set(require)],
  };
}

/** What was wished, in words; empty when nothing was. */
export function describeWish({ kernel, rootfs, require }: Wish): string {
  return [
    kernel === undefined ? '' : `kernel ${formatWanted(kernel)}`,
    rootfs === undefined ? '' : `root file system ${rootfs}`,
    require.length === 0 ? '' : `a kernel with ${require.join(', ')}`,
  ]
    .filter((part) => part !== '')
    .join(', ');
}

function wrong(option: string, value: string, hint: string): SmartVMError {
  return new SmartVMError(
    `Failed to choose within the set: ${option} is ${JSON.stringify(value.slice(0, 100))}`,
    'INVALID_BASE_IMAGE_OPTIONS',
    { hint },
  );
}
