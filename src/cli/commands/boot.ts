import type { BaseImageManager, BootOptions, Bundle, CheckBootOptions } from '../../index.ts';
import { COMMON_FLAGS, FETCH_FLAGS, isForced, managerFor } from '../common-flags.ts';
import { runConsole } from '../console.ts';
import { toJson } from '../json.ts';
import { plainLine } from '../plain-text.ts';
import { formatSeconds, parseChoice, parseCount, parseDuration, parseMemory } from '../units.ts';
import type { Call, Verb } from '../verb.ts';

export const boot: Verb = {
  name: 'boot',
  summary: 'Boot an image: with a console, or to see that it boots.',
  operands: { text: '<reference|id>', min: 1, max: 1 },
  flags: {
    check: { help: 'Boot it to its login, say how long that took, and end it.' },
    expect: { value: '<text>', help: 'With --check: what the console has to say instead.' },
    timeout: { value: '<time>', help: 'How long booting may take, like 90s or 2m. Default: 2m.' },
    memory: { value: '<size>', help: 'Memory of the machine, like 512M or 2G. Default: 512M.' },
    cpus: { value: '<n>', help: 'Processors of the machine. Default: 1.' },
    vmm: { value: '<name>', help: 'qemu or firecracker. Default: what works here.' },
    accel: { value: '<name>', help: 'kvm or tcg. Default: $SMARTVM_ACCEL, else kvm where a guest has booted with it.' },
    machine: { value: '<name>', help: 'With qemu: microvm or q35. Default: what the kernel can.' },
    writable: { help: 'Let the guest write its root, to a private copy that is thrown away.' },
    append: { value: '<args>', help: 'More kernel arguments: --append="quiet loglevel=3".' },
    'dry-run': { short: 'n', help: 'Print what would be started, and start nothing.' },
    ...FETCH_FLAGS,
    ...COMMON_FLAGS,
  },
  examples: [
    { command: 'smartvm boot debian --check', says: 'Does it boot, and how fast?' },
    { command: 'smartvm boot debian', says: 'A console; Ctrl-] leaves and ends the machine.' },
    { command: 'smartvm boot latest --check --expect "login:" --timeout 5m --json', says: 'For programs.' },
    { command: 'smartvm boot debian --dry-run', says: 'The command line of the machine.' },
  ],

  async run(call) {
    const { args, shell, words } = call;
    const check = args.has('check');
    const dryRun = args.has('dry-run');
    if (args.has('json') && !check && !dryRun) throw args.wrong('boot --json needs --check or --dry-run');
    if (args.has('expect') && !check) throw args.wrong('--expect needs --check');
    if (check && dryRun) throw args.wrong('--check and --dry-run exclude each other');
    const options = bootOptions(call);

    const images = await managerFor(call);
    const bundle = await bundleFor(call, images);
    const library = await import('../../index.ts');
    if (dryRun) {
      shell.stdout.write(toJson(await library.planBoot(bundle, options)));
      return 0;
    }
    if (!check) {
      const machine = await library.boot(bundle, options);
      if (shell.stdin.isTTY) words.say(`${bundle.bundleId}: Ctrl-] leaves`);
      words.end();
      await runConsole(machine, shell);
      shell.signal.throwIfAborted();
      return 0;
    }
    const receipt = await library.checkBoot(bundle, options);
    words.end();
    const { ok, vmm, accelerator, bootMs, marker } = receipt;
    const how = `on ${vmm} (${accelerator}) in ${formatSeconds(bootMs)}: ${plainLine(marker)}`;
    shell.stdout.write(
      args.has('json')
        ? toJson({ ok, vmm, accelerator, bootMs, marker, receipt: receipt.receipt })
        : `booted ${plainLine(bundle.bundleId)} ${how}\n`,
    );
    return 0;
  },
};

/** A reference is ensured; what is no reference is looked for in the cache. */
async function bundleFor({ args }: Call, images: BaseImageManager): Promise<Bundle> {
  const [name = ''] = args.operands;
  try {
    return await images.ensureBaseImage({ reference: name, forceDownload: isForced(args) });
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'INVALID_BASE_IMAGE_REFERENCE')) throw error;
    const [bundle] = await images.findBaseImages(name);
    if (bundle === undefined) throw error;
    return bundle;
  }
}

function bootOptions({ args, shell, words }: Call): CheckBootOptions {
  const accelerators = ['kvm', 'tcg'] as const;
  const fromEnv = shell.env['SMARTVM_ACCEL'];
  const accelerator =
    args.read('accel', (text) => parseChoice(text, accelerators)) ??
    (fromEnv ? args.reading('SMARTVM_ACCEL', fromEnv, (text) => parseChoice(text, accelerators)) : undefined);
  const given = {
    accelerator,
    vmm: args.read('vmm', (text) => parseChoice(text, ['qemu', 'firecracker'])),
    machine: args.read('machine', (text) => parseChoice(text, ['microvm', 'q35'])),
    memoryMiB: args.read('memory', parseMemory),
    vcpus: args.read('cpus', (text) => parseCount(text, 1)),
    timeoutMs: args.read('timeout', parseDuration),
    bootArgs: args.text('append'),
    expect: args.text('expect'),
  };
  return {
    ...(Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as BootOptions),
    writable: args.has('writable'),
    signal: shell.signal,
    logger: words.logger,
    onProgress: words.onProgress,
  };
}
