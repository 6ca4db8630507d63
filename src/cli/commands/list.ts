import { basename } from 'node:path';
import type { Bundle } from '../../index.ts';
import { bytesOf } from '../bundle-text.ts';
import { columnsOf } from '../columns.ts';
import { COMMON_FLAGS } from '../common-flags.ts';
import { toJson } from '../json.ts';
import { managerFor } from '../manager-for.ts';
import { plainLine } from '../plain-text.ts';
import { formatTable } from '../table.ts';
import { formatAge, formatBytes } from '../units.ts';
import type { Verb } from '../verb.ts';

export const list: Verb = {
  name: 'list',
  summary: 'List the images that are here, the last used first.',
  operands: { text: '', min: 0, max: 0 },
  flags: COMMON_FLAGS,
  examples: [
    { command: 'smartvm list', says: 'A table on a terminal; in a pipe, fields between tabs: id, arch, kernel, …' },
    { command: 'smartvm list | cut -f1', says: 'Just the ids.' },
    { command: 'smartvm list --json', says: 'The whole records.' },
  ],

  async run(call) {
    const { args, shell, words } = call;
    const images = await managerFor(call);
    const bundles = await images.listBaseImages();
    const { stdout } = shell;
    if (args.has('json')) {
      stdout.write(toJson(bundles));
    } else if (bundles.length === 0) {
      words.say(`No images in ${images.getCacheDir()}. Get one with "smartvm ensure debian".`);
    } else if (stdout.isTTY) {
      const rows = bundles.map((bundle) => forHumans(bundle, Date.now()));
      stdout.write(formatTable(['ID', 'ARCH', 'KERNEL', 'SIZE', 'USED', 'TRUST'], rows, columnsOf(stdout)));
    } else {
      stdout.write(bundles.map((bundle) => `${forPrograms(bundle).join('\t')}\n`).join(''));
    }
    return 0;
  },
};

function forHumans(bundle: Bundle, nowMs: number): string[] {
  return [
    bundle.bundleId,
    bundle.arch,
    basename(bundle.kernelImagePath),
    formatBytes(bytesOf(bundle)),
    formatAge(nowMs - Date.parse(bundle.lastAccessedAt)),
    bundle.trust,
  ].map(plainLine);
}

function forPrograms(bundle: Bundle): string[] {
  return [
    bundle.bundleId,
    bundle.arch,
    basename(bundle.kernelImagePath),
    String(bytesOf(bundle)),
    bundle.lastAccessedAt,
    bundle.trust,
    bundle.bundleDir,
  ].map(plainLine);
}
