import compare from 'semver/functions/compare.js';

/** One minor release of Firecracker. */
export interface FirecrackerMinor {
  /** `v1.15`. */
  readonly minor: string;
  readonly releasedOn: string;
  /** The last patch release that is known, `v1.15.1`. */
  readonly lastPatch: string;
  /** The day its support ended, or will end at the earliest. */
  readonly supportedUntil: string;
}

/** The day on which this table was compared with Firecracker's docs/RELEASE_POLICY.md and its tags. */
export const RELEASES_AS_OF = '2026-11-01';

/** Newest first. Support: the last two minors, and every minor for at least six months. */
export const FIRECRACKER_MINORS: readonly FirecrackerMinor[] = [
  { minor: 'v1.17', releasedOn: '2026-09-10', lastPatch: 'v1.17.0', supportedUntil: '2027-03-10' },
  { minor: 'v1.16', releasedOn: '2026-06-03', lastPatch: 'v1.16.2', supportedUntil: '2026-12-03' },
  { minor: 'v1.15', releasedOn: '2026-03-09', lastPatch: 'v1.15.1', supportedUntil: '2026-09-10' },
  { minor: 'v1.14', releasedOn: '2025-12-17', lastPatch: 'v1.14.4', supportedUntil: '2026-06-03' },
  { minor: 'v1.13', releasedOn: '2025-08-28', lastPatch: 'v1.13.2', supportedUntil: '2026-03-09' },
  { minor: 'v1.12', releasedOn: '2025-05-07', lastPatch: 'v1.12.1', supportedUntil: '2025-12-17' },
  { minor: 'v1.11', releasedOn: '2025-03-18', lastPatch: 'v1.11.0', supportedUntil: '2025-09-18' },
  { minor: 'v1.10', releasedOn: '2024-11-07', lastPatch: 'v1.10.1', supportedUntil: '2025-05-07' },
  { minor: 'v1.9', releasedOn: '2024-09-02', lastPatch: 'v1.9.1', supportedUntil: '2025-03-18' },
  { minor: 'v1.8', releasedOn: '2024-07-10', lastPatch: 'v1.8.0', supportedUntil: '2025-01-10' },
  { minor: 'v1.7', releasedOn: '2024-03-18', lastPatch: 'v1.7.0', supportedUntil: '2024-09-18' },
  { minor: 'v1.6', releasedOn: '2023-12-20', lastPatch: 'v1.6.0', supportedUntil: '2024-07-10' },
  { minor: 'v1.5', releasedOn: '2023-10-09', lastPatch: 'v1.5.1', supportedUntil: '2024-04-09' },
];

/** What Firecracker can do, and the first release that can (its changelog). */
export const FEATURES = {
  /** `--enable-pci`; without it Firecracker adds `pci=off` itself. */
  pci: 'v1.13.0',
  /** A bzImage as the kernel, on x86_64 (#6037). */
  bzImage: 'v1.17.0',
} as const satisfies Readonly<Record<string, string>>;

/** A release as its support stands on a day (`2026-11-24`). */
export type Support =
  | { readonly state: 'supported'; readonly until: string }
  | { readonly state: 'ended'; readonly since: string }
  /** Newer than the table. */
  | { readonly state: 'newer' }
  /** Older than the table. */
  | { readonly state: 'older' };

export function supportOf(firecrackerVersion: string, today: string): Support {
  const minor = firecrackerVersion.split('.').slice(0, 2).join('.');
  const known = FIRECRACKER_MINORS.find((one) => one.minor === minor);
  if (known === undefined) {
    const newest = FIRECRACKER_MINORS[0]?.lastPatch ?? 'v0.0.0';
    return { state: compare(firecrackerVersion, newest) > 0 ? 'newer' : 'older' };
  }
  const { supportedUntil } = known;
  if (today > supportedUntil && !isAmongLastTwo(known)) return { state: 'ended', since: supportedUntil };
  return { state: 'supported', until: supportedUntil };
}

/** The first release of every minor that is supported on this day, newest first. */
export function supportedReleases(today: string): readonly string[] {
  return FIRECRACKER_MINORS.filter(({ minor }) => supportOf(`${minor}.0`, today).state === 'supported').map(
    ({ minor }) => `${minor}.0`,
  );
}

/** The newest release in the table. */
export function newestKnownRelease(): string {
  return FIRECRACKER_MINORS[0]?.lastPatch ?? 'v1.17.0';
}

/** How many days before this moment the table was last compared. */
export function tableAgeDays(now: Date): number {
  return Math.floor((now.getTime() - Date.parse(RELEASES_AS_OF)) / 86_400_000);
}

/** While no newer release is in the table, its last two are what the policy supports. */
function isAmongLastTwo(known: FirecrackerMinor): boolean {
  return FIRECRACKER_MINORS.indexOf(known) < 2;
}
