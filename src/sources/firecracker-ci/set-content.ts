import type { OfferedKernel } from '../../compat/kernel-choice.ts';
import { formatWanted } from '../../compat/kernel-choice.ts';
import type { RootfsType } from '../../image.ts';
import type { Listing } from './bucket.ts';
import type { ListedObject } from './listing-page.ts';
import { compareNatural } from './natural-order.ts';
import type { Wish } from './selection.ts';

/** An object of a set under the name it has in its folder. */
export interface Candidate extends ListedObject {
  readonly name: string;
}

export interface KernelCandidate extends Candidate, OfferedKernel {
  /** Key of its configuration, when that lies beside it. */
  readonly configKey?: string;
}

export interface RootfsCandidate extends Candidate {
  readonly rootfsType: RootfsType;
  /** Key of the list of its packages, when that lies beside it. */
  readonly packageListKey?: string;
}

/** What one folder of a set offers for booting. */
export interface SetContent {
  readonly prefix: string;
  /** How many objects lie in it, of whatever kind. */
  readonly objectCount: number;
  /** Lowest version first, of every flavour. */
  readonly kernels: readonly KernelCandidate[];
  /** Those that may be taken; the one that is taken when there is a choice comes last. */
  readonly rootfses: readonly RootfsCandidate[];
}

const KERNEL = /^vmlinux-(\d+\.\d+\.\d+)(?:-([a-z][a-z0-9-]*))?$/;
const ROOTFS = /^([A-Za-z][^]*)\.(squashfs|ext4)$/;
const DEFAULT_FAMILY = 'ubuntu';

/** Tells kernels and root file systems from everything else that lies directly in the folder. */
export function contentOf({ prefix, objects }: Listing, { rootfs }: Wish): SetContent {
  const direct: Candidate[] = objects
    .filter(({ key }) => key.startsWith(prefix) && !key.slice(prefix.length).includes('/'))
    .map((object) => ({ ...object, name: object.key.slice(prefix.length) }));
  const keys = new Set(direct.map(({ key }) => key));
  const beside = (key: string): string | undefined => (keys.has(key) ? key : undefined);
  const kernels = direct.flatMap((one): KernelCandidate[] => {
    const [, version, flavour = ''] = KERNEL.exec(one.name) ?? [];
    if (version === undefined) return [];
    const configKey = beside(`${one.key}.config`);
    return [{ ...one, version, flavour, ...(configKey === undefined ? {} : { configKey }) }];
  });
  const rootfses = direct.flatMap((one): RootfsCandidate[] => {
    const [, stem, type] = ROOTFS.exec(one.name) ?? [];
    if (stem === undefined || !isOf(rootfs ?? DEFAULT_FAMILY, one.name)) return [];
    const packageListKey = beside(`${prefix}${stem}.manifest`);
    const rootfsType = type === 'ext4' ? 'ext4' : 'squashfs';
    return [{ ...one, rootfsType, ...(packageListKey === undefined ? {} : { packageListKey }) }];
  });
  return {
    prefix,
    objectCount: direct.length,
    kernels: kernels.sort(byName),
    rootfses: rootfses.sort((a, b) => preference(a) - preference(b) || byName(a, b)),
  };
}

/** True when a folder holds what it takes to boot, as it was wished. */
export function isComplete(content: SetContent, wish: Wish): boolean {
  return kernelsFor(content, wish).length > 0 && content.rootfses.length > 0;
}

/** What a folder lacks, in words. */
export function describeContent(content: SetContent, wish: Wish): string {
  const { prefix, objectCount, kernels, rootfses } = content;
  if (objectCount === 0) return `${prefix} holds nothing`;
  const kernel = wish.kernel === undefined ? 'vmlinux-<a.b.c>' : formatWanted(wish.kernel);
  const family = wish.rootfs ?? DEFAULT_FAMILY;
  const there = kernels.length === 0 ? '' : `, only ${kernels.map(({ name }) => name).join(', ')}`;
  const lack = [
    kernelsFor(content, wish).length === 0 ? `no kernel (${kernel}${there})` : '',
    rootfses.length === 0 ? `no root file system (${family}*.squashfs or ${family}*.ext4)` : '',
  ].filter((part) => part !== '');
  const what = lack.length === 0 ? 'a kernel and a root file system' : lack.join(' and ');
  return `${prefix} holds ${what} among ${objectCount} objects`;
}

/** Kernels that may be taken at all: of the flavour and version that was wished, else the plain ones. */
function kernelsFor({ kernels }: SetContent, { kernel }: Wish): readonly KernelCandidate[] {
  if (kernel === undefined) return kernels.filter(({ flavour }) => flavour === '');
  return kernels.filter(
    ({ version, flavour }) =>
      flavour === kernel.flavour && (version === kernel.version || version.startsWith(`${kernel.version}.`)),
  );
}

/** `ubuntu` and `ubuntu-24.04` are families of `ubuntu-24.04.squashfs`, which is also its own name. */
function isOf(family: string, name: string): boolean {
  return name === family || (name.startsWith(family) && /^[-.]/.test(name.slice(family.length)));
}

function byName(a: Candidate, b: Candidate): number {
  return compareNatural(a.name, b.name);
}

/** Any squashfs is taken before any ext4. */
function preference({ rootfsType }: RootfsCandidate): number {
  return rootfsType === 'squashfs' ? 1 : 0;
}
