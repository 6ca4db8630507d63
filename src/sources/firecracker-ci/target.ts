import { RELEASES_AS_OF, newestKnownRelease, supportedReleases } from '../../compat/releases.ts';
import type { ResolveRequest } from '../../image.ts';
import type { FoundSet } from './find-set.ts';
import type { WantedSet } from './set-name.ts';

/** The release that the image is to run on, and the releases that its kernel has to suit. */
export interface Target {
  readonly version?: string;
  readonly releases: readonly string[];
  readonly why: readonly string[];
}

export function targetOf(wanted: WantedSet, { firecrackerVersion }: FoundSet, { target }: ResolveRequest): Target {
  const today = new Date().toISOString().slice(0, 10);
  const named = target === undefined ? [] : [`it is for Firecracker ${target.version}: ${target.why}`];
  if (wanted.kind === 'stable') {
    const releases = supportedReleases(today);
    const why = `stable suits every release that is supported on ${today}: ${releases.join(', ')} (table of ${RELEASES_AS_OF})`;
    return { version: target?.version ?? newestKnownRelease(), releases, why: [...named, why] };
  }
  // A folder that is named by a release is for that release; what is on PATH does not make it another.
  const version = wanted.kind === 'lts' ? 'v1.7.0' : (target?.version ?? firecrackerVersion);
  if (version === undefined) return { releases: [], why: ['a dated set is for any release that supports its kernel'] };
  return { version, releases: [version], why: named };
}
