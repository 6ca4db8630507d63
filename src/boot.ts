import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { cpus, release, tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { chooseVmm } from './boot/choose.ts';
import { privateCopy } from './boot/private-copy.ts';
import { subjectOf } from './boot/subject.ts';
import { awaitUserland } from './boot/userland.ts';
import { SmartVMError } from './errors.ts';
import type { Bundle, Logger, OnProgress } from './image.ts';
import { leaseBundle } from './store/lease.ts';
import { readReceipts, writeReceipt } from './store/receipts.ts';
import { hostFacts } from './vmm/host.ts';
import { bootId, kvmDeviceProblem, probeKvm, type KvmVerdict } from './vmm/kvm-probe.ts';
import { startMachine, type Machine } from './vmm/process.ts';
import type { Accelerator, BootSubject, HostFacts, MachinePlan, MachineType, VmmName } from './vmm/vmm.ts';

export interface BootOptions {
  /** Default: Firecracker where KVM boots this kernel, else QEMU. */
  readonly vmm?: VmmName | undefined;
  /** Default: KVM when a boot of this kernel has succeeded with it, else `tcg`, which is emulation. */
  readonly accelerator?: Accelerator | undefined;
  /** Machine of QEMU on x86_64. Default `microvm`. */
  readonly machine?: 'microvm' | 'q35' | undefined;
  /** Default 512. */
  readonly memoryMiB?: number | undefined;
  /** Default 2, or 1 on a machine with one. */
  readonly vcpus?: number | undefined;
  /** True: the root is a private copy that may be written and is thrown away. Default: true unless the bundle is read-only. */
  readonly writable?: boolean | undefined;
  /** Kernel arguments added behind all others. */
  readonly bootArgs?: string | undefined;
  /** Ends the machine. */
  readonly signal?: AbortSignal | undefined;
  readonly logger?: Logger | undefined;
  readonly onProgress?: OnProgress | undefined;
}

export interface CheckBootOptions extends BootOptions {
  /** The text on the console that proves the boot. Default: a login prompt or a shell's prompt. */
  readonly expect?: string | undefined;
  /** How long the guest may take to show it. Default 120,000 by emulation, 30,000 with KVM. */
  readonly timeoutMs?: number | undefined;
}

/** What a boot showed; kept as JSON beside the bundle. */
export interface BootReceipt {
  readonly ok: true;
  readonly bundleId: string;
  readonly vmm: VmmName;
  readonly vmmVersion: string;
  readonly accelerator: Accelerator;
  readonly machine: MachineType;
  readonly memoryMiB: number;
  readonly vcpus: number;
  /** From the start of the VMM to the marker. */
  readonly bootMs: number;
  /** The text on the console that proved it. */
  readonly marker: string;
  /** The guest kernel's first line, when it was shown. */
  readonly kernelLine: string | undefined;
  readonly kernelCommandLine: string;
  readonly host: { readonly kernel: string; readonly cpu: string };
  readonly why: readonly string[];
  /** ISO 8601. */
  readonly bootedAt: string;
  /** Where it is kept; absent when the cache cannot be written. */
  readonly receipt?: string;
}

const DEFAULT_MEMORY_MIB = 512;
const DEFAULT_TIMEOUT_MS: Readonly<Record<Accelerator, number>> = { tcg: 120_000, kvm: 30_000 };

/**
 * Boots a bundle and returns the machine once its process runs. The bundle is in use, and is not pruned, until the machine
 * ends; its files are attached read-only, or as private copies.
 *
 * Rejects with `VMM_UNAVAILABLE`, `MACHINE_BOOT_FAILED` (files that cannot boot), `BASE_IMAGE_NOT_CACHED`,
 * `INVALID_BASE_IMAGE_OPTIONS`, or the signal's reason.
 */
export async function boot(bundle: Bundle, options: BootOptions = {}): Promise<Machine> {
  return await withRunDir(async (runDir, keep) => {
    const writable = isWritable(bundle, options);
    const subject = await subjectOf(bundle, writable);
    const lease = await leaseBundle(bundle.bundleDir);
    try {
      const plan = await makePlan(bundle, subject, options, runDir, lease.fd);
      if (writable) await privateCopy(bundle.rootfsPath, copyOf(bundle, runDir), options.signal);
      const onExit = (): Promise<void> => rm(runDir, { recursive: true, force: true });
      const machine = await startMachine(plan, { runDir, leaseFd: lease.fd, onExit, signal: options.signal });
      keep();
      return machine;
    } finally {
      // The machine inherited the descriptor: the lease goes on until it ends.
      await lease.release();
    }
  });
}

/** What `boot` would start, and why, without starting it. Where KVM has to be tried, it is tried. */
export async function planBoot(bundle: Bundle, options: BootOptions = {}): Promise<MachinePlan> {
  return await withRunDir(async (runDir) => {
    const subject = await subjectOf(bundle, isWritable(bundle, options));
    const lease = await leaseBundle(bundle.bundleDir);
    try {
      return await makePlan(bundle, subject, options, runDir, lease.fd);
    } finally {
      await lease.release();
    }
  });
}

/**
 * Boots a bundle until userland shows itself on the console, ends the machine, and keeps a receipt beside the bundle. Nothing
 * is left running, whatever happens.
 *
 * Rejects with `MACHINE_BOOT_FAILED` and the last lines of the console when the guest panics, finds no root, ends early or shows
 * nothing in time; else as `boot`.
 */
export async function checkBoot(bundle: Bundle, options: CheckBootOptions = {}): Promise<BootReceipt> {
  const machine = await boot(bundle, options);
  const { plan } = machine;
  try {
    const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS[plan.accelerator];
    const { expect, signal } = options;
    const seen = await awaitUserland(bundle.bundleId, machine, { expect, timeoutMs, signal });
    const receipt: BootReceipt = {
      ok: true,
      bundleId: bundle.bundleId,
      vmm: plan.vmm,
      vmmVersion: plan.vmmVersion,
      accelerator: plan.accelerator,
      machine: plan.machine,
      memoryMiB: plan.memoryMiB,
      vcpus: plan.vcpus,
      bootMs: Math.round(performance.now() - machine.startedAtMs),
      marker: seen.marker,
      kernelLine: seen.kernelLine,
      kernelCommandLine: plan.kernelCommandLine,
      host: { kernel: release(), cpu: cpus()[0]?.model ?? 'unknown' },
      why: plan.why,
      bootedAt: new Date().toISOString(),
    };
    return await keepReceipt(bundle, receipt, options.logger);
  } finally {
    await machine.stop();
  }
}

/** What boots of this bundle showed, one receipt for each VMM and accelerator. */
export async function bootReceipts(bundle: Bundle): Promise<readonly BootReceipt[]> {
  return (await readReceipts(bundle.bundleDir)).filter(isBootReceipt);
}

function isBootReceipt(value: unknown): value is BootReceipt {
  return typeof value === 'object' && value !== null && 'bootMs' in value && 'marker' in value;
}

async function keepReceipt(bundle: Bundle, receipt: BootReceipt, logger: Logger | undefined): Promise<BootReceipt> {
  try {
    return {
      ...receipt,
      receipt: await writeReceipt(bundle.bundleDir, `${receipt.vmm}-${receipt.accelerator}`, receipt),
    };
  } catch (error) {
    if (!(error instanceof SmartVMError)) throw error;
    logger?.warn(`It booted, but the receipt could not be kept: ${error.message}`);
    return receipt;
  }
}

async function makePlan(
  bundle: Bundle,
  subject: BootSubject,
  options: BootOptions,
  runDir: string,
  leaseFd: number,
): Promise<MachinePlan> {
  const host = await hostFacts(subject.arch);
  const askKvm = (vmm: VmmName): Promise<KvmVerdict> =>
    kvmVerdict(vmm, bundle, subject, host, options, { runDir, leaseFd });
  const { vmm, accelerator, why } = await chooseVmm(subject, host, options, askKvm);
  for (const reason of why) options.logger?.info(reason);
  const onDisk = subject.rootfsIsWritable ? { ...subject, rootfsPath: copyOf(bundle, runDir) } : subject;
  const { machine, bootArgs: extraBootArgs } = options;
  const planOptions = {
    accelerator,
    memoryMiB: positive('memoryMiB', options.memoryMiB ?? DEFAULT_MEMORY_MIB),
    vcpus: positive('vcpus', options.vcpus ?? Math.min(2, host.cpus)),
    machineId: `smartvm-${randomUUID()}`,
    ...(machine === undefined ? {} : { machine }),
    ...(extraBootArgs === undefined ? {} : { extraBootArgs }),
  };
  return vmm.plan(onDisk, planOptions, host, why);
}

/** A verdict holds until this host boots anew, for one version of a VMM; it is kept beside the bundle where that can be written. */
async function kvmVerdict(
  vmm: VmmName,
  bundle: Bundle,
  subject: BootSubject,
  host: HostFacts,
  { signal, onProgress }: BootOptions,
  at: { readonly runDir: string; readonly leaseFd: number },
): Promise<KvmVerdict> {
  const problem = await kvmDeviceProblem();
  if (problem !== undefined) return { usable: false, reason: problem };
  const hypothesis = { kvmProbe: true, vmm, vmmVersion: host[vmm]?.version, bootId: await bootId() };
  for (const receipt of await readReceipts(bundle.bundleDir)) {
    const known = receipt as Partial<typeof hypothesis & KvmVerdict>;
    const same = (['kvmProbe', 'vmm', 'vmmVersion', 'bootId'] as const).every(
      (field) => known[field] === hypothesis[field],
    );
    if (same && known.reason !== undefined) return { usable: known.usable === true, reason: known.reason };
  }
  onProgress?.({ phase: 'step', message: `trying whether KVM boots this kernel on ${vmm}` });
  const verdict = await probeKvm(vmm, subject, host, { ...at, signal });
  await writeReceipt(bundle.bundleDir, `kvm-probe-${vmm}`, { ...hypothesis, ...verdict }).catch((error: unknown) => {
    if (!(error instanceof SmartVMError)) throw error;
  });
  return verdict;
}

function isWritable(bundle: Bundle, { writable }: BootOptions): boolean {
  if (writable === true && bundle.rootfsType === 'squashfs') {
    throw new SmartVMError(
      `Failed to boot ${bundle.bundleId}: a writable root was asked for, and its root is squashfs, which cannot be written`,
      'INVALID_BASE_IMAGE_OPTIONS',
      { hint: 'Leave `writable` out, or take an image with an ext4 root.' },
    );
  }
  return writable ?? !bundle.rootfsIsReadOnly;
}

function copyOf(bundle: Bundle, runDir: string): string {
  return join(runDir, basename(bundle.rootfsPath));
}

function positive(name: string, value: number): number {
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new SmartVMError(`${name} must be a positive integer, got ${value}`, 'INVALID_BASE_IMAGE_OPTIONS');
}

/** A private folder for one machine; it goes when `work` is done, unless that keeps it. */
async function withRunDir<T>(work: (runDir: string, keep: () => void) => Promise<T>): Promise<T> {
  const runDir = await mkdtemp(join(tmpdir(), 'smartvm-run-'));
  const owner = { isUs: true };
  try {
    return await work(runDir, () => (owner.isUs = false));
  } finally {
    if (owner.isUs) await rm(runDir, { recursive: true, force: true });
  }
}
