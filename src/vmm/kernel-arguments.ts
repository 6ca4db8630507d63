import { FEATURES } from '../compat/releases.ts';
import { SmartVMError } from '../errors.ts';
import type { Arch } from '../image.ts';

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

/** What is odd about kernel arguments, each a sentence; nothing when nothing is. */
export function lintKernelArguments(bundleArgs: string, arch: Arch, rootfsIsReadOnly: boolean): readonly string[] {
  const [own = ''] = bundleArgs.split(' -- ');
  const given = words(own);
  const valuesOf = (name: string): readonly string[] =>
    given.filter((word) => word.startsWith(`${name}=`)).map((word) => word.slice(name.length + 1));
  const has = (word: string): boolean => given.includes(word);
  const findings: string[] = [];
  if (valuesOf('console').length === 0) findings.push('no console=: nothing will be seen of the boot');
  if (arch === 'aarch64' && valuesOf('console').every((value) => !value.startsWith('tty'))) {
    findings.push('on aarch64 the console is ttyS0 (Firecracker) or ttyAMA0 (QEMU)');
  }
  if (valuesOf('panic').length === 0)
    findings.push('no panic=: a kernel that panics hangs instead of ending its machine');
  if (has('pci=off')) {
    findings.push(
      `pci=off: Firecracker adds it itself; with --enable-pci (${FEATURES.pci} on), or on QEMU q35, it would hide the disk, and is left out there`,
    );
  }
  if (arch === 'x86_64' && !valuesOf('reboot').includes('k')) {
    findings.push('no reboot=k: under Firecracker a guest that reboots would hang (QEMU gets reboot=t)');
  }
  if (valuesOf('root').length > 0) findings.push('root= is left out: each machine says itself where its disk is');
  if (has('ro') && has('rw')) findings.push('both ro and rw: the last one wins');
  if (rootfsIsReadOnly && !has('ro')) findings.push('the root file system is read-only, and ro is missing');
  for (const name of ['init', 'rootfstype', 'panic', 'reboot']) {
    const values = new Set(valuesOf(name));
    if (values.size > 1)
      findings.push(`${name}= is given ${values.size} times with different values: the last one wins`);
  }
  const bytes = Buffer.byteLength(bundleArgs);
  if (bytes > MAX_BYTES) findings.push(`${bytes} bytes, and at most ${MAX_BYTES} are taken`);
  return findings;
}
