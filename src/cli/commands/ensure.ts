import { formatPaths, formatShell } from '../bundle-text.ts';
import { CHOICE_FLAGS, choicesOf } from '../choice-flags.ts';
import { COMMON_FLAGS, FETCH_FLAGS, isForced } from '../common-flags.ts';
import { toJson } from '../json.ts';
import { managerFor } from '../manager-for.ts';
import { formatEnsurePlan } from '../resolution-text.ts';
import type { Verb } from '../verb.ts';

export const ensure: Verb = {
  name: 'ensure',
  summary: 'Make sure that an image is here, and print where.',
  operands: { text: '<reference>', min: 1, max: 1 },
  flags: {
    ...CHOICE_FLAGS,
    ...FETCH_FLAGS,
    plan: { help: 'Say what would be fetched and removed; do nothing.' },
    shell: { help: 'Print assignments for a shell: SMARTVM_KERNEL, SMARTVM_ROOTFS, …' },
    ...COMMON_FLAGS,
  },
  examples: [
    { command: 'smartvm ensure debian', says: 'Builds an image from Debian packages, once.' },
    {
      command: 'smartvm ensure latest --json | jq -r .kernelImagePath',
      says: "The newest set of Firecracker's CI bucket.",
    },
    {
      command: 'smartvm ensure latest --kernel 6.1 --require overlayfs',
      says: 'A kernel of that series with overlayfs.',
    },
    { command: 'smartvm ensure ./my.manifest.json', says: 'What a manifest names, by path or https URL.' },
    { command: 'eval "$(smartvm ensure debian --shell)"; ls -l "$SMARTVM_ROOTFS"', says: 'For scripts.' },
  ],

  async run(call) {
    const { args, shell } = call;
    const [reference] = args.operands;
    if (args.has('json') && args.has('shell')) throw args.wrong('--json and --shell exclude each other');
    for (const flag of ['offline', 'prefer-offline']) {
      if (args.has(flag) && isForced(args)) throw args.wrong(`--${flag} and --force exclude each other`);
    }
    if (args.has('plan') && args.has('offline')) throw args.wrong('--plan and --offline exclude each other');
    const images = await managerFor(call);
    const asked = { reference, ...choicesOf(args), forceDownload: isForced(args) };
    if (args.has('plan')) {
      const plan = await images.planBaseImage(asked);
      call.words.end();
      shell.print(args.has('json') ? toJson(plan) : formatEnsurePlan(plan));
      return 0;
    }
    const bundle = await images.ensureBaseImage(asked);
    call.words.end();
    const format = args.has('json') ? toJson : args.has('shell') ? formatShell : formatPaths;
    shell.print(format(bundle));
    return 0;
  },
};
