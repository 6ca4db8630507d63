import { ASKING_FLAGS, COMMON_FLAGS } from '../common-flags.ts';
import { formatDifference } from '../difference-text.ts';
import { toJson } from '../json.ts';
import { managerFor } from '../manager-for.ts';
import type { Verb } from '../verb.ts';

export const diff: Verb = {
  name: 'diff',
  summary: 'Say what differs between two images: files, kernel options, packages.',
  operands: { text: '<reference> <reference>', min: 2, max: 2 },
  flags: { ...ASKING_FLAGS, ...COMMON_FLAGS },
  examples: [
    { command: 'smartvm diff 20260819 20260923', says: 'What a month brought. Neither image is downloaded.' },
    { command: 'smartvm diff v1.15 latest --json', says: 'For programs.' },
  ],

  async run(call) {
    const { args, shell } = call;
    const [one, other] = args.operands;
    const images = await managerFor(call);
    const difference = await images.compareBaseImages({ reference: one }, { reference: other });
    call.words.end();
    shell.stdout.write(args.has('json') ? toJson(difference) : formatDifference(difference, args.has('verbose')));
    return 0;
  },
};
