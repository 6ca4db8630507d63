import type { PruneEntry } from '../../index.ts';
import { COMMON_FLAGS } from '../common-flags.ts';
import { toJson } from '../json.ts';
import { managerFor } from '../manager-for.ts';
import { plainLine } from '../plain-text.ts';
import { formatBytes, parseCount, parseMemory } from '../units.ts';
import type { Verb } from '../verb.ts';

export const prune: Verb = {
  name: 'prune',
  summary: 'Remove the images that were not used for the longest time.',
  operands: { text: '', min: 0, max: 0 },
  flags: {
    keep: { value: '<n>', help: 'How many to keep. Default: 2.' },
    'max-size': { value: '<size>', help: 'How much they may take, like 2G. Default: any amount.' },
    'dry-run': { short: 'n', help: 'Say what would go, and touch nothing.' },
    ...COMMON_FLAGS,
  },
  examples: [
    { command: 'smartvm prune', says: 'Keeps the two that were used last, and those in use.' },
    {
      command: 'smartvm prune --keep 10 --max-size 2G',
      says: 'Keeps up to ten, as long as they take no more than 2 GiB.',
    },
    { command: 'smartvm prune --keep 0 --dry-run', says: 'What would go.' },
  ],

  async run(call) {
    const { args, shell, words } = call;
    const keep = args.read('keep', (text) => parseCount(text, 0));
    const dryRun = args.has('dry-run');
    const mebibytes = args.read('max-size', parseMemory);
    const maxBytes = mebibytes === undefined ? undefined : mebibytes * 1024 ** 2;
    const images = await managerFor(call);
    const { removed, kept, skipped } = await images.pruneBaseImages({ keep, maxBytes, dryRun });
    if (args.has('json')) {
      shell.stdout.write(toJson({ removed, kept, skipped }));
      return 0;
    }
    const lines = [
      ...removed.map((entry) => line(dryRun ? 'would-remove' : 'removed', entry)),
      ...skipped.map((entry) => line('skipped', entry)),
      ...kept.map((entry) => line('kept', entry)),
    ];
    shell.stdout.write(lines.join(''));
    const bytes = removed.reduce((sum, entry) => sum + entry.bytes, 0);
    if (removed.length > 0) words.say(`${dryRun ? 'This would free' : 'Freed'} ${formatBytes(bytes)}.`);
    else words.say('Nothing to remove.');
    return 0;
  },
};

function line(what: string, { bundleDir, bytes, reason }: PruneEntry): string {
  const folder = bundleDir.slice(bundleDir.lastIndexOf('/') + 1);
  return `${what.padEnd('removed'.length)}  ${plainLine(folder)}  ${formatBytes(bytes)}  ${plainLine(reason)}\n`;
}
