import { GUEST_KERNELS, GUEST_KERNELS_AS_OF, supportsGuest } from '../../compat/guest-kernels.ts';
import type { RootfsType } from '../../image.ts';
import type { Listing } from './bucket.ts';
import type { ListedObject } from './listing-page.ts';
import { compareNatural } from './natural-order.ts';

/** An object of a set under the name it has in its folder. */
export interface Candidate extends ListedObject {
  readonly name: string;
}

export interface KernelCandidate extends Candidate {
  /** `6.1.155`. */
  readonly version: string;
}

export interface RootfsCandidate extends Candidate {
  readonly rootfsType: RootfsType;
}

/** What one folder of a set offers for booting. */
export interface SetContent {
  readonly prefix: string;
  /** How many objects lie in it, of whatever kind. */
  readonly objectCount: number;
  /** Lowest version first. */
  readonly kernels: readonly KernelCandidate[];
  /** The one that is taken when there is a choice comes last. */
  readonly rootfses: readonly RootfsCandidate[];
}

export interface ChosenKernel {
  readonly kernel: KernelCandidate;
  /** Why it is not one that is known to work. */
  readonly warning?: string;
}

const KERNEL = /^vmlinux-(\d+\.\d+\.\d+)$/;
const ROOTFS = /^ubuntu-.*\.(squashfs|ext4)$/s;

/** Tells kernels and root file systems from everything else that lies directly in the folder. */
export function contentOf({ prefix, objects }: Listing): SetContent {
  const direct: Candidate[] = objects
    .filter(({ key }) => key.startsWith(prefix) && !key.slice(prefix.length).includes('/'))
    .map((object) => ({ ...object, name: object.key.slice(prefix.length) }));
  const kernels = direct.flatMap((one) => {
    const version = KERNEL.exec(one.name)?.[1];
    return version === undefined ? [] : [{ ...one, version }];
  });
  const rootfses = direct.flatMap((one): RootfsCandidate[] => {
    const type = ROOTFS.exec(one.name)?.[1];
    return type === undefined ? [] : [{ ...one, rootfsType: type === 'ext4' ? 'ext4' : 'squashfs' }];
  });
  return {
    prefix,
    objectCount: direct.length,
    kernels: kernels.sort(byName),
    rootfses: rootfses.sort((a, b) => preference(a) - preference(b) || byName(a, b)),
  };
}

/** True when a folder holds what it takes to boot. */
export function isComplete({ kernels, rootfses }: SetContent): boolean {
  return kernels.length > 0 && rootfses.length > 0;
}

/**
 * The highest kernel that this Firecracker release supports as a guest (any release, when none is named); where none fits,
 * the highest of all with a warning. `undefined` when there is no kernel.
 */
export function chooseKernel({ kernels }: SetContent, firecrackerVersion?: string): ChosenKernel | undefined {
  const fits = ({ version }: KernelCandidate): boolean =>
    firecrackerVersion === undefined ? isKnownSeries(version) : supportsGuest(firecrackerVersion, version);
  const kernel = kernels.findLast(fits);
  if (kernel !== undefined) return { kernel };
  const highest = kernels.at(-1);
  if (highest === undefined) return undefined;
  const names = kernels.map(({ name }) => name).join(', ');
  const by = firecrackerVersion === undefined ? 'any Firecracker release' : `Firecracker ${firecrackerVersion}`;
  const warning = `None of ${names} is known to be supported as a guest of ${by} (as of ${GUEST_KERNELS_AS_OF}); taking ${highest.name}.`;
  return { kernel: highest, warning };
}

/** What a folder lacks, in words. */
export function describeContent({ prefix, objectCount, kernels, rootfses }: SetContent): string {
  if (objectCount === 0) return `${prefix} holds nothing`;
  const lack = [
    kernels.length === 0 ? 'no kernel (vmlinux-<a.b.c>)' : '',
    rootfses.length === 0 ? 'no root file system (ubuntu-*.squashfs or ubuntu-*.ext4)' : '',
  ].filter((part) => part !== '');
  const what = lack.length === 0 ? 'a kernel and a root file system' : lack.join(' and ');
  return `${prefix} holds ${what} among ${objectCount} objects`;
}

function isKnownSeries(version: string): boolean {
  return GUEST_KERNELS.some(({ series }) => version.startsWith(`${series}.`));
}

function byName(a: Candidate, b: Candidate): number {
  return compareNatural(a.name, b.name);
}

/** Any squashfs is taken before any ext4. */
function preference({ rootfsType }: RootfsCandidate): number {
  return rootfsType === 'squashfs' ? 1 : 0;
}
