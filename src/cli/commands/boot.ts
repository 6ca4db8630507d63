import {
  SmartVMError,
  type BaseImageManager,
  type BootReceipt,
  type Bundle,
  type CheckBootOptions,
  type Machine,
  type SmartVMErrorCode,
} from '../../index.ts';
import { formatPlan } from '../boot-text.ts';
import { CHOICE_FLAGS, choicesOf } from '../choice-flags.ts';
import { COMMON_FLAGS, FETCH_FLAGS, isForced } from '../common-flags.ts';
import { runConsole } from '../console.ts';
import { toJson } from '../json.ts';
import { managerFor } from '../manager-for.ts';
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
    timeout: {
      value: '<time>',
      help: 'With --check: how long it may take, like 90s or 2m. Default: 2m, or 30s with KVM.',
    },
    memory: { value: '<size>', help: 'Memory of the machine, like 512M or 2G. Default: 512M.' },
    cpus: { value: '<n>', help: 'Processors of the machine. Default: 2 where there are two.' },
    vmm: { value: '<name>', help: 'qemu or firecracker. Default: what works here.' },
    accel: { value: '<name>', help: 'kvm or tcg. Default: $SMARTVM_ACCEL, else kvm where a guest has booted with it.' },
    machine: { value: '<name>', help: 'With qemu: microvm or q35. Default: what the kernel can.' },
    writable: { help: 'Let the guest write its root: a private copy, thrown away at the end.' },
    append: { value: '<args>', help: 'More kernel arguments: --append="quiet loglevel=3".' },
    'dry-run': { short: 'n', help: 'Print what would be started, and start nothing.' },
    ...CHOICE_FLAGS,
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
    for (const flag of ['expect', 'timeout']) {
      if (args.has(flag) && !check) throw args.wrong(`--${flag} needs --check`);
    }
    if (check && dryRun) throw args.wrong('--check and --dry-run exclude each other');
    const options = bootOptions(call);

    const bundle = await bundleFor(call, await managerFor(call));
    const machines = await import('../machines.ts');
    if (dryRun) {
      const plan = await machines.planBoot(bundle, options);
      words.end();
      for (const reason of plan.why) words.say(reason);
      shell.stdout.write(args.has('json') ? toJson(plan) : formatPlan(plan));
    } else if (check) {
      const receipt = await machines.checkBoot(bundle, options);
      words.end();
      shell.stdout.write(args.has('json') ? toJson(checkFacts(receipt)) : checkLine(receipt));
    } else {
      await attach(call, await machines.boot(bundle, options), bundle);
    }
    return 0;
  },
};

/** The console of the machine, until that ends; a machine that ended by itself and not well is an error. */
async function attach({ shell, words }: Call, machine: Machine, bundle: Bundle): Promise<void> {
  const { vmm, accelerator } = machine.plan;
  if (shell.stdin.isTTY) words.say(`${bundle.bundleId} on ${vmm} (${accelerator}); Ctrl-] leaves and ends it`);
  words.end();
  const { code, signal, left } = await runConsole(machine, shell);
  shell.signal.throwIfAborted();
  if (left || code === 0) return;
  const how = code === null ? `was killed by ${String(signal)}` : `ended with exit status ${code}`;
  const said = machine.vmmTail().trim();
  const message = `Failed to run ${bundle.bundleId}: ${vmm} ${how}${said === '' ? '' : `, having said: ${said}`}`;
  throw new SmartVMError(message, 'MACHINE_LOST', { hint: 'See what was started with --dry-run.' });
}

function checkFacts({ ok, vmm, accelerator, bootMs, marker, receipt }: BootReceipt): object {
  return { ok, vmm, accelerator, bootMs, marker, receipt };
}

function checkLine({ bundleId, vmm, accelerator, bootMs, marker }: BootReceipt): string {
  return plainLine(`booted ${bundleId} on ${vmm} (${accelerator}) in ${formatSeconds(bootMs)}: ${marker}`) + '\n';
}

/** A reference is ensured; what is no reference is looked for in the cache. */
async function bundleFor({ args }: Call, images: BaseImageManager): Promise<Bundle> {
  const [name = ''] = args.operands;
  try {
    return await images.ensureBaseImage({ reference: name, ...choicesOf(args), forceDownload: isForced(args) });
  } catch (error) {
    if (!hasCode(error, 'INVALID_BASE_IMAGE_REFERENCE')) throw error;
    const [bundle] = await images.findBaseImages(name).catch((notFound: unknown) => {
      throw hasCode(notFound, 'BASE_IMAGE_NOT_CACHED') ? error : notFound;
    });
    if (bundle === undefined) throw error;
    return bundle;
  }
}

function hasCode(error: unknown, code: SmartVMErrorCode): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

function bootOptions({ args, shell, words }: Call): CheckBootOptions {
  const accelerators = ['kvm', 'tcg'] as const;
  const fromEnv = shell.env['SMARTVM_ACCEL'];
  const accelerator =
    args.read('accel', (text) => parseChoice(text, accelerators)) ??
    (fromEnv ? args.reading('SMARTVM_ACCEL', fromEnv, (text) => parseChoice(text, accelerators)) : undefined);
  return {
    accelerator,
    vmm: args.read('vmm', (text) => parseChoice(text, ['qemu', 'firecracker'])),
    machine: args.read('machine', (text) => parseChoice(text, ['microvm', 'q35'])),
    memoryMiB: args.read('memory', parseMemory),
    vcpus: args.read('cpus', (text) => parseCount(text, 1)),
    timeoutMs: args.read('timeout', parseDuration),
    bootArgs: args.text('append'),
    expect: args.text('expect'),
    writable: args.has('writable') ? true : undefined,
    signal: shell.signal,
    logger: words.logger,
    onProgress: words.onProgress,
  };
}
