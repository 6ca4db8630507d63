import { bytesOf, folderOf } from '../bundle-text.ts';
import { ARCH_FLAG, COMMON_FLAGS } from '../common-flags.ts';
import { findBundles } from '../find-bundles.ts';
import { toJson } from '../json.ts';
import { managerFor } from '../manager-for.ts';
import { plainLine } from '../plain-text.ts';
import { formatBytes } from '../units.ts';
import type { Verb } from '../verb.ts';

export const remove: Verb = {
  name: 'remove',
  summary: 'Remove images from the cache.',
  operands: { text: '<id…>', min: 1, max: Infinity },
  flags: { ...ARCH_FLAG, ...COMMON_FLAGS },
  examples: [
    { command: 'smartvm remove debian', says: 'By what it was asked for, by its id, or by the beginning of that.' },
    { command: 'smartvm list | cut -f1 | xargs smartvm remove', says: 'Everything.' },
  ],

  async run(call) {
    const { args, shell } = call;
    const images = await managerFor(call);
    const bundles = await findBundles(images, args.operands);
    const removed = [];
    for (const bundle of bundles) {
      await images.removeBaseImage(bundle);
      const { bundleId, bundleDir } = bundle;
      removed.push({ bundleId, bundleDir, bytes: bytesOf(bundle), reason: 'asked for' });
      if (!args.has('json')) {
        shell.stdout.write(`removed  ${plainLine(folderOf(bundle))}  ${formatBytes(bytesOf(bundle))}\n`);
      }
    }
    if (args.has('json')) shell.stdout.write(toJson({ removed }));
    return 0;
  },
};
