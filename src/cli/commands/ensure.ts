import { formatPaths, formatShell } from '../bundle-text.ts';
import { COMMON_FLAGS, FETCH_FLAGS, isForced, managerFor } from '../common-flags.ts';
import { toJson } from '../json.ts';
import type { Verb } from '../verb.ts';

export const ensure: Verb = {
  name: 'ensure',
  summary: 'Make sure that an image is here, and print where.',
  operands: { text: '<reference>', min: 1, max: 1 },
  flags: {
    ...FETCH_FLAGS,
    shell: { help: 'Print assignments for a shell: SMARTVM_KERNEL, SMARTVM_ROOTFS, …' },
    ...COMMON_FLAGS,
  },
  examples: [
    { command: 'smartvm ensure debian', says: 'Builds an image from Debian packages, once.' },
    {
      command: 'smartvm ensure latest --json | jq -r .kernelImagePath',
      says: "The newest set of Firecracker's CI bucket.",
    },
    { command: 'smartvm ensure ./my.manifest.json', says: 'What a manifest names, by path or https URL.' },
    { command: 'eval "$(smartvm ensure debian --shell)"; ls -l "$SMARTVM_ROOTFS"', says: 'For scripts.' },
  ],

  async run(call) {
    const { args, shell } = call;
    const [reference] = args.operands;
    if (args.has('json') && args.has('shell')) throw args.wrong('--json and --shell exclude each other');
    if (args.has('offline') && isForced(args)) throw args.wrong('--offline and --force exclude each other');
    const images = await managerFor(call);
    const bundle = await images.ensureBaseImage({ reference, forceDownload: isForced(args) });
    call.words.end();
    const format = args.has('json') ? toJson : args.has('shell') ? formatShell : formatPaths;
    shell.stdout.write(format(bundle));
    return 0;
  },
};
