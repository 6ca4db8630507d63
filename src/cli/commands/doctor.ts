import { ASKING_FLAGS, COMMON_FLAGS } from '../common-flags.ts';
import { toJson } from '../json.ts';
import { managerFor } from '../manager-for.ts';
import { plainLine } from '../plain-text.ts';
import type { Verb } from '../verb.ts';

export const doctor: Verb = {
  name: 'doctor',
  summary: 'Say whether everything is here to resolve, build and boot, and what would mend it.',
  operands: { text: '', min: 0, max: 0 },
  flags: { offline: { help: 'Ask no network.' }, ...ASKING_FLAGS, ...COMMON_FLAGS },
  examples: [
    { command: 'smartvm doctor', says: 'Exits 1 when something stands in the way.' },
    { command: 'smartvm doctor --offline --json', says: 'Without asking any network.' },
  ],

  async run(call) {
    const { args, shell, words } = call;
    const images = await managerFor(call, { heedsLock: false });
    const { diagnose } = await import('../machines.ts');
    const findings = await diagnose(images, { offline: args.has('offline'), signal: shell.signal });
    words.end();
    const ok = findings.every(({ state }) => state !== 'bad');
    if (args.has('json')) {
      shell.stdout.write(toJson({ ok, findings }));
    } else {
      for (const { name, state, says, fix } of findings) {
        shell.stdout.write(`${state.padEnd(4)}  ${name.padEnd(11)}  ${plainLine(says)}\n`);
        if (fix !== undefined) shell.stdout.write(`${' '.repeat(19)}${plainLine(fix)}\n`);
      }
    }
    return ok ? 0 : 1;
  },
};
