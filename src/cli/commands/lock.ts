import type { LockChange } from '../../index.ts';
import { SELECTION_FLAGS, choicesOf } from '../choice-flags.ts';
import { ASKING_FLAGS, COMMON_FLAGS, LOCK_FILE_NAME } from '../common-flags.ts';
import { formatDifference } from '../difference-text.ts';
import { toJson } from '../json.ts';
import { managerFor } from '../manager-for.ts';
import { plainLine } from '../plain-text.ts';
import { TRANSFER_FLAGS } from '../transfer-flags.ts';
import type { Verb } from '../verb.ts';

export const lock: Verb = {
  name: 'lock',
  summary: 'Write down what references are now, by digest.',
  operands: { text: '[<reference>…]', min: 0, max: 1000 },
  flags: {
    update: { help: 'Look up anew what the file has already, and show what changed.' },
    'dry-run': { short: 'n', help: 'Show what would change, and write nothing.' },
    ...SELECTION_FLAGS,
    ...ASKING_FLAGS,
    ...TRANSFER_FLAGS,
    ...COMMON_FLAGS,
  },
  examples: [
    { command: 'smartvm lock latest debian', says: `Writes ${LOCK_FILE_NAME}; commit it.` },
    { command: 'smartvm lock --update', says: 'What changed in all of them, written down.' },
    { command: 'smartvm ensure latest --frozen', says: 'Only what the file says.' },
  ],

  async run(call) {
    const { args, shell, words } = call;
    const update = args.has('update');
    if (args.operands.length === 0 && !update) throw args.wrong('lock needs a reference, or --update');
    const images = await managerFor(call, { defaultLockFile: LOCK_FILE_NAME });
    const asking = args.operands.map((reference) => ({ reference, ...choicesOf(args) }));
    const report = await images.lockBaseImages(asking, { update, dryRun: args.has('dry-run'), signal: shell.signal });
    words.end();
    if (args.has('json')) {
      shell.stdout.write(toJson(report));
      return 0;
    }
    shell.stdout.write(report.changes.map((change) => format(change, args.has('verbose'))).join(''));
    words.say(report.isWritten ? `Wrote ${report.lockFile}.` : `${report.lockFile} was not changed.`);
    return 0;
  },
};

function format({ reference, arch, change, difference }: LockChange, verbose: boolean): string {
  const line = `${plainLine(`${change.padEnd('unchanged'.length)}  ${reference}  ${arch}`)}\n`;
  return difference === undefined ? line : line + formatDifference(difference, verbose).replace(/^(?=.)/gm, '  ');
}
