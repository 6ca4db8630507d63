import compare from 'semver/functions/compare.js';
import gte from 'semver/functions/gte.js';
import lt from 'semver/functions/lt.js';

/** One kernel series as a guest of Firecracker: supported from one release on, until another. */
export interface GuestKernelSupport {
  /** `major.minor`. */
  readonly series: string;
  readonly fromVersion: string;
  /** The first release that no longer supports it. */
  readonly untilVersion?: string;
}

/** The day on which the table was compared with Firecracker's docs/kernel-policy.md and its changelog. */
export const GUEST_KERNELS_AS_OF = '2026-11-01';

export const GUEST_KERNELS: readonly GuestKernelSupport[] = [
  { series: '4.14', fromVersion: 'v0.1.0', untilVersion: 'v1.10.0' },
  { series: '5.10', fromVersion: 'v1.0.0' },
  { series: '6.1', fromVersion: 'v1.9.0' },
  { series: '6.18', fromVersion: 'v1.16.1' },
];

/** True when this Firecracker release (`vX.Y.Z`) supports guests with this kernel (`6.1.155`, or a series). */
export function supportsGuest(firecrackerVersion: string, kernelVersion: string): boolean {
  const series = kernelVersion.split('.').slice(0, 2).join('.');
  const support = GUEST_KERNELS.find((one) => one.series === series);
  if (support === undefined) return false;
  const { fromVersion, untilVersion } = support;
  return gte(firecrackerVersion, fromVersion) && (untilVersion === undefined || lt(firecrackerVersion, untilVersion));
}

/** The first Firecracker release that supports this series, or for one that is not in the table, the series below it. */
export function oldestSupporting(series: string): string {
  const upTo = GUEST_KERNELS.filter((one) => compareSeries(one.series, series) <= 0);
  return (upTo.at(-1) ?? GUEST_KERNELS[0])?.fromVersion ?? 'v1.0.0';
}

function compareSeries(a: string, b: string): number {
  return compare(`${a}.0`, `${b}.0`);
}
