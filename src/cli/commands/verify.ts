import { folderOf } from '../bundle-text.ts';
import { ARCH_FLAG, COMMON_FLAGS } from '../common-flags.ts';
import { findBundles } from '../find-bundles.ts';
import { toJson } from '../json.ts';
import { managerFor } from '../manager-for.ts';
import { plainLine } from '../plain-text.ts';
import type { Verb } from '../verb.ts';

export const verify: Verb = {
  name: 'verify',
  summary: 'Hash the files of images again and compare; exit status 1 when one is damaged.',
  operands: { text: '[id…]', min: 0, max: Infinity },
  flags: { ...ARCH_FLAG, ...COMMON_FLAGS },
  examples: [
    { command: 'smartvm verify', says: 'All that are here.' },
    { command: 'smartvm verify debian', says: 'One of them.' },
    { command: "smartvm verify --json | jq -r '.bundles[] | select(.ok | not).bundleId'", says: 'The damaged ones.' },
  ],

  async run(call) {
    const { args, shell, words } = call;
    const images = await managerFor(call);
    const bundles =
      args.operands.length === 0 ? await images.listBaseImages() : await findBundles(images, args.operands);
    const checked = [];
    for (const bundle of bundles) {
      const report = await images.verifyBaseImages([bundle]);
      checked.push(...report.bundles);
      if (args.has('json')) continue;
      for (const { ok, problems } of report.bundles) {
        shell.stdout.write(`${ok ? 'ok      ' : 'damaged '}  ${plainLine(folderOf(bundle))}\n`);
        for (const problem of problems) shell.stdout.write(`          ${plainLine(problem)}\n`);
        if (!ok) words.say(`hint: fetch it again with "smartvm ensure ${bundle.reference} --force".`);
      }
    }
    const ok = checked.every((one) => one.ok);
    if (args.has('json')) shell.stdout.write(toJson({ ok, bundles: checked }));
    else if (bundles.length === 0) words.say(`No images in ${images.getCacheDir()}: nothing to verify.`);
    return ok ? 0 : 1;
  },
};
