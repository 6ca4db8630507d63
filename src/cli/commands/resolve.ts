import { SELECTION_FLAGS, choicesOf } from '../choice-flags.ts';
import { ASKING_FLAGS, COMMON_FLAGS } from '../common-flags.ts';
import { toJson } from '../json.ts';
import { managerFor } from '../manager-for.ts';
import { formatResolution } from '../resolution-text.ts';
import type { Verb } from '../verb.ts';

export const resolve: Verb = {
  name: 'resolve',
  summary: 'Say what would be chosen, from where, and why; download nothing.',
  operands: { text: '<reference>', min: 1, max: 1 },
  flags: { ...SELECTION_FLAGS, ...ASKING_FLAGS, ...COMMON_FLAGS },
  examples: [
    { command: 'smartvm resolve latest', says: 'What would be chosen now, and why.' },
    { command: 'smartvm resolve latest --firecracker v1.15.1 --kernel 6.1 --json', says: 'For programs.' },
    {
      command: 'smartvm resolve stable --require overlayfs,nf_tables',
      says: 'Looks into the kernels’ configurations.',
    },
  ],

  async run(call) {
    const { args, shell } = call;
    const [reference] = args.operands;
    const images = await managerFor(call);
    const resolution = await images.resolveBaseImage({ reference, ...choicesOf(args) });
    call.words.end();
    shell.stdout.write(args.has('json') ? toJson(resolution) : formatResolution(resolution));
    return 0;
  },
};
