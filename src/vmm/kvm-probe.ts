import { constants, existsSync } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { systemCode } from '../errors.ts';
import { firecracker } from './firecracker.ts';
import { startMachine } from './process.ts';
import { qemu } from './qemu.ts';
import type { BootSubject, HostFacts, MachinePlan, VmmName } from './vmm.ts';

/** Whether KVM boots this kernel here, and the reason in words. */
export interface KvmVerdict {
  readonly usable: boolean;
  readonly reason: string;
}

export interface ProbeOptions {
  readonly runDir: string;
  readonly leaseFd: number;
  readonly signal?: AbortSignal | undefined;
}

const PROBE_MS = 5000;
/** Past this line lies everything that fails on hosts whose KVM cannot run an ordinary kernel. */
const ALIVE = /VFS: Unable to mount root fs|Run \S+ as init process|smartvm-initrd:/;

const WHY_NOT_OPEN: Readonly<Record<string, string>> = {
  ENOENT: 'there is no /dev/kvm',
  EACCES: '/dev/kvm may not be opened by this user (add the user to the group kvm)',
  EPERM: '/dev/kvm may not be opened here',
  EBUSY: '/dev/kvm is held by another hypervisor',
  ENODEV: '/dev/kvm has no driver behind it',
  ENXIO: '/dev/kvm has no driver behind it',
};

/** Why `/dev/kvm` cannot even be opened; `undefined` when it can, which proves nothing yet. */
export async function kvmDeviceProblem(): Promise<string | undefined> {
  try {
    await (await open('/dev/kvm', constants.O_RDWR)).close();
    return undefined;
  } catch (error) {
    return WHY_NOT_OPEN[systemCode(error) ?? ''] ?? `/dev/kvm cannot be opened (${systemCode(error) ?? String(error)})`;
  }
}

/**
 * Boots the kernel with KVM and without any disk, for at most five seconds: it is usable when the kernel gets as far as
 * missing its root file system. Nothing less proves that KVM runs an ordinary kernel.
 */
export async function probeKvm(
  vmm: VmmName,
  subject: BootSubject,
  host: HostFacts,
  options: ProbeOptions,
): Promise<KvmVerdict> {
  const plan = probePlan(vmm, subject, host);
  const machine = await startMachine(plan, { ...options, onExit: () => Promise.resolve() });
  const limit = new Promise<'silent'>((resolve) => setTimeout(resolve, PROBE_MS, 'silent').unref());
  const alive = new Promise<'alive'>((resolve) => {
    machine.console.setEncoding('utf8').on('data', () => {
      if (ALIVE.test(machine.consoleTail())) resolve('alive');
    });
  });
  const outcome = await Promise.race([alive, limit, machine.exited.then(() => 'ended' as const)]);
  const booted = outcome === 'alive' || ALIVE.test(machine.consoleTail());
  await machine.stop();
  options.signal?.throwIfAborted();
  if (booted) return { usable: true, reason: `KVM booted this kernel on ${vmm}` };
  const words =
    outcome === 'silent' ? `did not boot it within ${PROBE_MS / 1000} s` : `gave up: ${lastLine(machine.vmmTail())}`;
  const pvm = existsSync('/sys/module/kvm_pvm') ? ' (kvm_pvm runs only kernels made for it)' : '';
  return { usable: false, reason: `/dev/kvm opens, but ${vmm} with KVM ${words}${pvm}` };
}

/** The boot of this machine of ours, so that a verdict is not believed after a reboot. */
export async function bootId(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => 'unknown')).trim();
}

/** The plan of the machine without its disk, its initrd, and its patience. */
function probePlan(vmm: VmmName, subject: BootSubject, host: HostFacts): MachinePlan {
  const { initrdPath: _, ...bare } = subject;
  const options = {
    accelerator: 'kvm',
    memoryMiB: 256,
    vcpus: 1,
    machineId: 'smartvm-kvm-probe',
    extraBootArgs: 'panic=-1',
  } as const;
  const plan = (vmm === 'qemu' ? qemu : firecracker).plan(bare, options, host, []);
  if (plan.configFile === undefined) return { ...plan, args: withoutDisk(plan.args) };
  const { drives: _drives, ...config } = JSON.parse(plan.configFile.text) as Record<string, unknown>;
  return { ...plan, configFile: { ...plan.configFile, text: JSON.stringify({ ...config, drives: [] }) } };
}

function withoutDisk(args: readonly string[]): readonly string[] {
  return args.filter((arg, at) => !arg.startsWith('id=root,') && !arg.includes('drive=root') && !isDiskFlag(args, at));
}

function isDiskFlag(args: readonly string[], at: number): boolean {
  const value = args[at + 1] ?? '';
  return (
    ['-drive', '-device'].includes(args[at] ?? '') && (value.startsWith('id=root,') || value.includes('drive=root'))
  );
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? '';
}
