import { SmartVMError } from '../errors.ts';
import { firecracker } from '../vmm/firecracker.ts';
import type { KvmVerdict } from '../vmm/kvm-probe.ts';
import { commandFor, qemu } from '../vmm/qemu.ts';
import type { Accelerator, BootSubject, HostFacts, Vmm, VmmName } from '../vmm/vmm.ts';

/** What was chosen, and why. */
export interface Choice {
  readonly vmm: Vmm;
  readonly accelerator: Accelerator;
  readonly why: readonly string[];
}

export interface Wish {
  readonly vmm?: VmmName | undefined;
  readonly accelerator?: Accelerator | undefined;
}

/** Asks whether KVM boots the kernel at hand on this VMM. */
export type AskKvm = (vmm: VmmName) => Promise<KvmVerdict>;

/**
 * Chooses a VMM and an accelerator: Firecracker where it is there and KVM boots the kernel, else QEMU with KVM, else QEMU by
 * emulation. A wish is granted or refused, never replaced by something else.
 *
 * Rejects with `VMM_UNAVAILABLE`, telling what stands against each.
 */
export async function chooseVmm(subject: BootSubject, host: HostFacts, wish: Wish, askKvm: AskKvm): Promise<Choice> {
  const against: string[] = [];
  for (const vmm of [firecracker, qemu]) {
    if (wish.vmm !== undefined && wish.vmm !== vmm.name) continue;
    for (const accelerator of ['kvm', 'tcg'] as const) {
      if (wish.accelerator !== undefined && wish.accelerator !== accelerator) continue;
      const problem = vmm.unavailable(subject, host, accelerator) ?? (await kvmProblem(vmm, accelerator, askKvm));
      if (problem === undefined) return { vmm, accelerator, why: [...against, granted(vmm, accelerator)] };
      if (!against.includes(`${vmm.name}: ${problem}`)) against.push(`${vmm.name}: ${problem}`);
    }
  }
  throw new SmartVMError(`Failed to find a machine to boot on: ${against.join('; ')}`, 'VMM_UNAVAILABLE', {
    hint: hintFor(subject, host, wish),
  });
}

async function kvmProblem(vmm: Vmm, accelerator: Accelerator, askKvm: AskKvm): Promise<string | undefined> {
  if (accelerator !== 'kvm') return undefined;
  const verdict = await askKvm(vmm.name);
  return verdict.usable ? undefined : verdict.reason;
}

function granted(vmm: Vmm, accelerator: Accelerator): string {
  return accelerator === 'kvm'
    ? `${vmm.name} with KVM boots this kernel here`
    : `${vmm.name} runs without KVM, by emulation`;
}

function hintFor(subject: BootSubject, host: HostFacts, wish: Wish): string {
  if (wish.vmm === 'firecracker') return 'Leave the choice of the VMM open: QEMU runs without KVM too.';
  if (host.qemu === undefined) {
    const name = subject.arch === 'aarch64' ? 'qemu-system-arm' : 'qemu-system-x86';
    return `Install ${commandFor(subject)}: apt-get install ${name}`;
  }
  return 'Leave the choice of the accelerator open, or take tcg: emulation runs everywhere.';
}
