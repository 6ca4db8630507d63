import type { EnsurePlan, Resolution, Trust } from '../index.ts';
import { plainLine } from './plain-text.ts';
import { formatFields } from './table.ts';
import { formatBytes } from './units.ts';

const TRUST_IN_WORDS: Readonly<Record<Trust, string>> = {
  pinned: 'pinned: its digests are in the lock file',
  signed: 'signed by a key that is trusted',
  published: 'published: its digests come from a manifest that nobody on the way could change',
  'first-use': 'first-use: nobody publishes digests for it; what comes is recorded, which proves nothing yet',
};

/** What was chosen, from where, how big, how trusted, and the decisions that led there. */
export function formatResolution(resolution: Resolution): string {
  const { bundleId, firecrackerVersion, arch, artifacts, trust, why } = resolution;
  const fields = formatFields([
    ['bundle', plainLine(bundleId)],
    ['for', `Firecracker ${plainLine(firecrackerVersion)} on ${arch}`],
    ...artifacts.map(({ role, fileName, bytes, url }) => {
      const size = bytes === undefined ? 'size unknown' : formatBytes(bytes);
      return [role, plainLine(`${fileName}  ${size}  ${url ?? 'made here'}`)] as const;
    }),
    ['trust', TRUST_IN_WORDS[trust]],
  ]);
  return `${fields}why\n${why.map((reason) => `  ${plainLine(reason)}\n`).join('')}`;
}

/** What would be fetched, from where, and what would go for it. */
export function formatEnsurePlan(plan: EnsurePlan): string {
  const { resolution, isCached, bytesToFetch, freeBytes, hosts, wouldRemove } = plan;
  const size = bytesToFetch === undefined ? 'an unknown number of bytes' : formatBytes(bytesToFetch);
  return formatFields([
    ['bundle', plainLine(resolution.bundleId)],
    ['cached', isCached ? 'yes' : 'no'],
    ['fetch', isCached ? 'nothing' : `${size}${hosts.length === 0 ? '' : ` from ${plainLine(hosts.join(', '))}`}`],
    ['free', formatBytes(freeBytes)],
    ...(wouldRemove.length === 0
      ? ([['remove', 'nothing']] as const)
      : wouldRemove.map((path) => ['remove', plainLine(path)] as const)),
  ]);
}
