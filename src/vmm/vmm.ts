import type { Arch, RootfsType } from '../image.ts';
import type { KernelFormat } from './kernel-format.ts';

export type VmmName = 'qemu' | 'firecracker';
export type Accelerator = 'kvm' | 'tcg';
/** `virt` is what QEMU has for aarch64; `firecracker` is Firecracker's only one. */
export type MachineType = 'microvm' | 'q35' | 'virt' | 'firecracker';

/** What is to be booted, with its files looked at. */
export interface BootSubject {
  readonly arch: Arch;
  readonly kernelPath: string;
  readonly kernelFormat: KernelFormat;
  /** False for kernels that find virtio devices on their command line and not through ACPI. */
  readonly kernelHasAcpi: boolean;
  readonly initrdPath?: string;
  readonly rootfsPath: string;
  readonly rootfsType: RootfsType;
  /** The path is a private copy, or else it is attached read-only. */
  readonly rootfsIsWritable: boolean;
  /** As the bundle has them. */
  readonly bootArgs: string;
}

export interface MachineSize {
  readonly memoryMiB: number;
  readonly vcpus: number;
}

/** What was chosen about the machine before its plan is made. */
export interface PlanOptions extends MachineSize {
  readonly accelerator: Accelerator;
  readonly machine?: 'microvm' | 'q35';
  /** Kernel arguments added behind all others. */
  readonly extraBootArgs?: string;
  /** Names this machine among others: letters, digits and dashes. */
  readonly machineId: string;
}

/** A program on PATH and its version, `X.Y.Z`. */
export interface FoundProgram {
  readonly command: string;
  readonly version: string;
}

/** What decides a plan about the machine we are on. */
export interface HostFacts {
  readonly os: string;
  readonly arch: Arch | undefined;
  readonly cpus: number;
  /** Rate of the time stamp counter; under emulation a guest that is not told it can hang. */
  readonly tscKhz: number;
  readonly qemu?: FoundProgram;
  readonly firecracker?: FoundProgram;
}

/** Everything needed to start a machine, as data: nothing in it has happened yet. */
export interface MachinePlan extends MachineSize {
  readonly vmm: VmmName;
  readonly vmmVersion: string;
  readonly accelerator: Accelerator;
  readonly machine: MachineType;
  readonly command: string;
  readonly args: readonly string[];
  /** The kernel arguments as handed to the VMM, which may add some of its own. */
  readonly kernelCommandLine: string;
  /** A file to be written into the machine's run directory before it starts; `{{runDir}}` in `args` stands for that. */
  readonly configFile?: { readonly name: string; readonly text: string };
  /** Why it is this VMM, accelerator and machine. */
  readonly why: readonly string[];
}

/** A program that runs machines. Adding one is adding a file that exports one of these. */
export interface Vmm {
  readonly name: VmmName;
  /** Why this VMM cannot run this subject here, in words; `undefined` when it can, given an accelerator that works. */
  unavailable(subject: BootSubject, host: HostFacts, accelerator: Accelerator): string | undefined;
  /** A pure function; throws `MACHINE_BOOT_FAILED` when the kernel arguments do not fit. */
  plan(subject: BootSubject, options: PlanOptions, host: HostFacts, why: readonly string[]): MachinePlan;
}

export const RUN_DIR = '{{runDir}}';
