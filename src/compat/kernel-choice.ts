import gte from 'semver/functions/gte.js';
import { GUEST_KERNELS, GUEST_KERNELS_AS_OF, supportsGuest } from './guest-kernels.ts';

/** A kernel that is on offer. */
export interface OfferedKernel {
  /** `6.1.155`. */
  readonly version: string;
  /** What is built differently: `no-acpi`, or nothing. */
  readonly flavour: string;
}

/** A kernel that is asked for: a series (`6.1`) or a version (`6.1.155`), and a flavour by its name. */
export interface WantedKernel {
  readonly version: string;
  readonly flavour: string;
}

export interface KernelChoice<T> {
  /** The ones that may be taken, best first. */
  readonly candidates: readonly T[];
  /** What the caller ought to know besides. */
  readonly warnings: readonly string[];
  /** Why these and no others, in the order of the decision. */
  readonly why: readonly string[];
}

/** Reads `6.1`, `6.1.155`, `5.10-no-acpi`, each with or without `vmlinux-` in front; `undefined` when it is none of these. */
export function parseWantedKernel(text: string): WantedKernel | undefined {
  const [, version, flavour = ''] = /^(?:vmlinux-)?(\d+\.\d+(?:\.\d+)?)(?:-([a-z][a-z0-9-]*))?$/.exec(text) ?? [];
  return version === undefined ? undefined : { version, flavour };
}

/**
 * Which of the kernels on offer (lowest version first) fits every one of these Firecracker releases as a guest; any known
 * series when none is named. A kernel that is asked for by name is taken whether or not it is supported, with a warning.
 * Where nothing fits, all are candidates, with a warning.
 */
export function chooseKernels<T extends OfferedKernel>(
  offered: readonly T[],
  releases: readonly string[],
  wanted?: WantedKernel,
): KernelChoice<T> {
  const newestFirst = [...offered].reverse();
  const meant = releases.length === 0 ? 'any Firecracker release' : `Firecracker ${releases.join(' and ')}`;
  const fits = ({ version }: OfferedKernel): boolean =>
    releases.length === 0 ? isKnown(version) : releases.every((release) => supportsGuest(release, version));

  if (wanted !== undefined) {
    const named = newestFirst.filter((kernel) => isWanted(kernel, wanted));
    const supported = named.filter(fits);
    const first = named[0];
    const warnings = first === undefined || supported.length > 0 ? [] : [outsideSupport(first, releases, meant)];
    const candidates = supported.length > 0 ? supported : named;
    return { candidates, warnings, why: [`kernel ${formatWanted(wanted)} was asked for`] };
  }

  const plain = newestFirst.filter(({ flavour }) => flavour === '');
  const supported = plain.filter(fits);
  const passed = supported.length === 0 ? [] : plain.slice(0, plain.indexOf(supported[0] as T));
  if (supported.length > 0) {
    return {
      candidates: supported,
      warnings: [],
      why: [
        ...passed.map(({ version }) => `${version} was passed over: ${whyNot(version, releases)}`),
        `${supported[0]?.version ?? ''} is the newest on offer that is supported as a guest of ${meant}`,
      ],
    };
  }
  const names = plain.map(({ version }) => version).join(', ');
  const warning =
    `None of the kernels ${names} is known to be supported as a guest of ${meant} (as of ${GUEST_KERNELS_AS_OF}); ` +
    `taking ${plain[0]?.version ?? 'none'}.`;
  return { candidates: plain, warnings: plain.length === 0 ? [] : [warning], why: [warning] };
}

/** `6.1`, `5.10-no-acpi`. */
export function formatWanted({ version, flavour }: WantedKernel): string {
  return flavour === '' ? version : `${version}-${flavour}`;
}

function isWanted({ version, flavour }: OfferedKernel, wanted: WantedKernel): boolean {
  return flavour === wanted.flavour && (version === wanted.version || version.startsWith(`${wanted.version}.`));
}

function isKnown(version: string): boolean {
  return supportFor(version) !== undefined;
}

function supportFor(version: string): (typeof GUEST_KERNELS)[number] | undefined {
  return GUEST_KERNELS.find(({ series }) => version === series || version.startsWith(`${series}.`));
}

/** Why a release does not support a kernel, with the release that begins or ends it. */
function whyNot(version: string, releases: readonly string[]): string {
  const support = supportFor(version);
  if (support === undefined) return `its series is not in the table of ${GUEST_KERNELS_AS_OF}`;
  const release = releases.find((one) => !supportsGuest(one, version)) ?? releases[0] ?? '';
  const { series, fromVersion, untilVersion } = support;
  const ended =
    untilVersion !== undefined && !supportsGuest(untilVersion, version) && supportsGuest(fromVersion, version);
  const limit = ended && gte(release, untilVersion) ? `until ${untilVersion}` : `from ${fromVersion} on`;
  return `${series} guests are supported ${limit}, and ${release} is not among those`;
}

function outsideSupport({ version }: OfferedKernel, releases: readonly string[], meant: string): string {
  return `Kernel ${version} is not supported as a guest of ${meant}: ${whyNot(version, releases)} (table of ${GUEST_KERNELS_AS_OF}).`;
}
