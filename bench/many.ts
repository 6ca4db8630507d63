import type { Bench } from './harness/bench.ts';
import type { Lab } from './harness/lab.ts';
import { spreadIn, type Bound, type Sample, type Section } from './harness/result.ts';
import { inTurn } from './harness/shell.ts';
import { makeCrowd } from './servers/crowd.ts';

const PRUNE = 'prune, nothing to do';
const LIST = 'list with sizes';
const SEED = "the seed's way to prune";
const WAYS = { [PRUNE]: 'prune', [LIST]: 'list', [SEED]: 'seed' };
/** How many bundles there are, how long pruning may take, and how often it is asked in one process. */
const CROWDS = [
  { count: 10, limitMs: 0.1, calls: 200 },
  { count: 1000, limitMs: 2, calls: 20 },
  { count: 10_000, limitMs: 20, calls: 5 },
];
const LISTED_IN_MS = 500;

export const many: Bench = {
  name: 'many',
  title: 'A cache with many bundles: pruning with nothing to do, and listing',

  async run(lab) {
    const sections: Section[] = [];
    const bounds: Bound[] = [];
    for (const { count: meant, limitMs, calls } of CROWDS) {
      const count = Math.max(10, Math.round(meant * lab.scale));
      const section = await measureCrowd(lab, count, calls);
      const { median } = spreadIn(section, PRUNE, 'wallMs');
      sections.push(section);
      bounds.push({ claim: `prune among ${count}`, measured: median, limit: limitMs, unit: 'ms' });
    }
    const largest = sections.at(-1);
    if (largest !== undefined) {
      const { median } = spreadIn(largest, LIST, 'wallMs');
      bounds.push({ claim: `list ${largest.title}`, measured: median, limit: LISTED_IN_MS, unit: 'ms' });
    }
    return {
      sections,
      bounds,
      notes: ['A sample is the median of the calls in one process, which has its files in the page cache.'],
    };
  },
};

async function measureCrowd(lab: Lab, count: number, calls: number): Promise<Section> {
  const cache = await lab.folder(`cache-${count}`);
  await makeCrowd(cache, count);
  const names = Object.keys(WAYS) as (keyof typeof WAYS)[];
  const samples = new Map<string, Sample[]>(names.map((name) => [name, []]));
  for (let round = 0; round < lab.rounds; round += 1) {
    lab.say(`many: ${count} bundles, round ${round + 1} of ${lab.rounds}`);
    for (const name of names) {
      const way = { name, command: inTurn(lab.program('crowd-calls', WAYS[name], cache, String(calls))) };
      const times = (JSON.parse((await lab.run(way)).stdout) as number[]).sort((a, b) => a - b);
      samples.get(name)?.push({ wallMs: times[Math.floor(calls / 2)] ?? NaN });
    }
  }
  return {
    title: `${count} bundles`,
    base: PRUNE,
    series: names.map((name) => ({ name, samples: samples.get(name) ?? [] })),
  };
}
