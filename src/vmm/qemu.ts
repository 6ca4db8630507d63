import { kernelArguments, words } from './kernel-arguments.ts';
import type { Accelerator, BootSubject, HostFacts, MachinePlan, MachineType, PlanOptions, Vmm } from './vmm.ts';

/** Ours to say, because QEMU says none of them; `pci=off` would hide the disk where it is a PCI device. */
const DROPS = /^(?:root=|rootfstype=|ro$|rw$|reboot=|pci=off$|tsc_early_khz=)/;

/** QEMU: runs everywhere, with KVM or by emulation. */
export const qemu: Vmm = {
  name: 'qemu',

  unavailable(subject, host, accelerator) {
    if (host.qemu === undefined) return `${commandFor(subject)} is not on PATH`;
    if (accelerator === 'kvm' && host.arch !== subject.arch) {
      return `KVM runs ${host.arch ?? 'nothing'} here, and the image is ${subject.arch}`;
    }
    return undefined;
  },

  plan(subject, options, host, why) {
    const machine = machineFor(subject, options);
    const kernelCommandLine = kernelArguments(subject.bootArgs, {
      drops: DROPS,
      adds: [...argumentsFor(subject, machine, options.accelerator, host), ...words(options.extraBootArgs)],
    });
    return {
      vmm: 'qemu',
      vmmVersion: host.qemu?.version ?? 'unknown',
      accelerator: options.accelerator,
      machine,
      memoryMiB: options.memoryMiB,
      vcpus: options.vcpus,
      command: host.qemu?.command ?? commandFor(subject),
      args: argsFor(subject, machine, options, kernelCommandLine),
      kernelCommandLine,
      why: [...why, whyMachine(machine)],
    } satisfies MachinePlan;
  },
};

/** The program for a guest of this architecture. */
export function commandFor({ arch }: { readonly arch: BootSubject['arch'] }): string {
  return `qemu-system-${arch}`;
}

function machineFor({ arch }: BootSubject, { machine }: PlanOptions): MachineType {
  return arch === 'aarch64' ? 'virt' : (machine ?? 'microvm');
}

function argumentsFor(
  subject: BootSubject,
  machine: MachineType,
  accelerator: Accelerator,
  host: HostFacts,
): readonly string[] {
  return [
    // There is no keyboard controller to reset through: a triple fault ends QEMU at once, `reboot=k` after 1.5 s.
    ...(subject.arch === 'x86_64' ? ['reboot=t'] : []),
    'root=/dev/vda',
    subject.rootfsIsWritable ? 'rw' : 'ro',
    `rootfstype=${subject.rootfsType}`,
    // Without KVM's clock, and with no timer to calibrate against, the kernel hangs every now and then unless it is told.
    ...(machine === 'microvm' && accelerator === 'tcg' ? [`tsc_early_khz=${host.tscKhz}`] : []),
  ];
}

function argsFor(
  subject: BootSubject,
  machine: MachineType,
  { accelerator, memoryMiB, vcpus, machineId }: PlanOptions,
  kernelCommandLine: string,
): readonly string[] {
  const bus = machine === 'microvm' ? 'device' : 'pci';
  const acpi = subject.kernelHasAcpi ? 'on' : 'off';
  return [
    ...['-name', machineId],
    ...['-machine', machine === 'microvm' ? `microvm,acpi=${acpi}` : machine],
    ...['-accel', accelerator],
    ...['-cpu', accelerator === 'kvm' ? 'host' : 'max'],
    ...['-m', String(memoryMiB), '-smp', String(vcpus)],
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot'],
    // CI's arm64 kernels have no driver for the UART of `virt`; one on PCI is ttyS0 to them.
    ...(machine === 'virt'
      ? ['-chardev', 'stdio,id=console,signal=off', '-device', 'pci-serial,chardev=console']
      : ['-chardev', 'stdio,id=console,signal=off', '-serial', 'chardev:console']),
    ...['-kernel', subject.kernelPath],
    ...(subject.initrdPath === undefined ? [] : ['-initrd', subject.initrdPath]),
    ...['-append', kernelCommandLine],
    ...[
      '-drive',
      `id=root,file=${escaped(subject.rootfsPath)},format=raw,if=none,readonly=${subject.rootfsIsWritable ? 'off' : 'on'}`,
    ],
    ...['-device', `virtio-blk-${bus},drive=root`],
  ];
}

/** A comma in an option's value is written twice. */
function escaped(path: string): string {
  return path.replaceAll(',', ',,');
}

function whyMachine(machine: MachineType): string {
  switch (machine) {
    case 'microvm':
      return 'microvm is the fastest machine of QEMU for a direct kernel boot';
    case 'virt':
      return 'virt is the machine of QEMU for aarch64';
    default:
      return `${machine} was asked for`;
  }
}
