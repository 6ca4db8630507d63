import { SmartVMError } from '../errors.ts';

/** Firecracker's limit on both architectures (`CMDLINE_MAX_SIZE` in its layout.rs); no kernel of ours takes more. */
const MAX_BYTES = 2048;

/**
 * Kernel arguments for one machine: those of the bundle without the ones that `drops` matches, then `adds`. What stands
 * behind ` -- ` is for init and stays at the end.
 *
 * @throws SmartVMError `MACHINE_BOOT_FAILED` when they are longer than a kernel takes.
 */
export function kernelArguments(
  bundleArgs: string,
  { drops, adds }: { readonly drops: RegExp; readonly adds: readonly string[] },
): string {
  const [own = '', ...forInit] = bundleArgs.split(' -- ');
  const kept = own.split(/\s+/).filter((word) => word !== '' && !drops.test(word));
  const line = [[...kept, ...adds].join(' '), ...forInit].join(' -- ');
  if (Buffer.byteLength(line) <= MAX_BYTES) return line;
  throw new SmartVMError(
    `Failed to plan the boot: the kernel arguments are ${Buffer.byteLength(line)} bytes, and at most ${MAX_BYTES} are taken`,
    'MACHINE_BOOT_FAILED',
    { hint: 'Shorten bootArgs of the manifest, or what was added to them.' },
  );
}

/** The words of `extra` as a list. */
export function words(extra: string | undefined): readonly string[] {
  return (extra ?? '').split(/\s+/).filter((word) => word !== '');
}
