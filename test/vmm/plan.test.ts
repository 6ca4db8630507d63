import assert from 'node:assert/strict';
import test from 'node:test';
import { firecracker } from '../../src/vmm/firecracker.ts';
import { qemu } from '../../src/vmm/qemu.ts';
import type { BootSubject, HostFacts, PlanOptions } from '../../src/vmm/vmm.ts';

const subject: BootSubject = {
  arch: 'x86_64',
  kernelPath: '/b/vmlinux',
  kernelFormat: 'elf',
  kernelHasAcpi: true,
  rootfsPath: '/b/rootfs.squashfs',
  rootfsType: 'squashfs',
  rootfsIsWritable: false,
  bootArgs: 'console=ttyS0 reboot=k panic=1 pci=off ro rootfstype=squashfs',
};
const arm: BootSubject = {
  ...subject,
  arch: 'aarch64',
  kernelFormat: 'arm64-image',
  bootArgs: `keep_bootcon ${subject.bootArgs}`,
};
const host: HostFacts = {
  os: 'linux',
  arch: 'x86_64',
  cpus: 4,
  tscKhz: 2_596_000,
  qemu: { command: '/usr/bin/qemu-system-x86_64', version: '7.2.22' },
  firecracker: { command: '/usr/bin/firecracker', version: '1.16.2' },
};
const options: PlanOptions = { accelerator: 'tcg', memoryMiB: 512, vcpus: 2, machineId: 'smartvm-test' };

/** The value behind an option of QEMU. */
function valueOf(args: readonly string[], option: string): string | undefined {
  return args[args.indexOf(option) + 1];
}

test('without KVM QEMU’s microvm is told the rate of the clock, the root device, and to end by a triple fault', () => {
  const plan = qemu.plan(subject, options, host, []);
  assert.equal(
    plan.kernelCommandLine,
    'console=ttyS0 panic=1 reboot=t root=/dev/vda ro rootfstype=squashfs tsc_early_khz=2596000',
  );
  assert.equal(valueOf(plan.args, '-machine'), 'microvm,acpi=on');
  assert.equal(valueOf(plan.args, '-cpu'), 'max');
  assert.equal(valueOf(plan.args, '-append'), plan.kernelCommandLine);
  assert.ok(plan.args.includes('-no-reboot'));
  assert.ok(plan.args.includes('id=root,file=/b/rootfs.squashfs,format=raw,if=none,readonly=on'));
  assert.ok(plan.args.includes('virtio-blk-device,drive=root'));
});

test('with KVM the host’s processor is passed through, and the clock needs no telling', () => {
  const plan = qemu.plan(subject, { ...options, accelerator: 'kvm' }, host, []);
  assert.equal(valueOf(plan.args, '-accel'), 'kvm');
  assert.equal(valueOf(plan.args, '-cpu'), 'host');
  assert.doesNotMatch(plan.kernelCommandLine, /tsc_early_khz/);
});

test('where the disk is a PCI device, pci=off is not passed on', () => {
  const plan = qemu.plan(subject, { ...options, machine: 'q35' }, host, []);
  assert.equal(valueOf(plan.args, '-machine'), 'q35');
  assert.ok(plan.args.includes('virtio-blk-pci,drive=root'));
  assert.doesNotMatch(plan.kernelCommandLine, /pci=off|tsc_early_khz/);
});

test('a kernel that finds its disk on the command line gets a machine without ACPI', () => {
  const plan = qemu.plan({ ...subject, kernelHasAcpi: false }, options, host, []);
  assert.equal(valueOf(plan.args, '-machine'), 'microvm,acpi=off');
});

test('a writable root is attached and mounted for writing', () => {
  const ext4: BootSubject = { ...subject, rootfsPath: '/r/a,b.ext4', rootfsType: 'ext4', rootfsIsWritable: true };
  const plan = qemu.plan(ext4, options, host, []);
  assert.match(plan.kernelCommandLine, / root=\/dev\/vda rw rootfstype=ext4/);
  assert.ok(
    plan.args.includes('id=root,file=/r/a,,b.ext4,format=raw,if=none,readonly=off'),
    'a comma is written twice',
  );
});

test('an initrd is passed on', () => {
  const plan = qemu.plan({ ...subject, initrdPath: '/b/initrd' }, options, host, []);
  assert.equal(valueOf(plan.args, '-initrd'), '/b/initrd');
});

test('a guest for aarch64 runs on virt with a console that its kernels have a driver for', () => {
  const plan = qemu.plan(arm, options, { ...host, arch: 'aarch64' }, []);
  assert.equal(plan.machine, 'virt');
  assert.ok(plan.args.includes('pci-serial,chardev=console'));
  assert.equal(plan.kernelCommandLine, 'keep_bootcon console=ttyS0 panic=1 root=/dev/vda ro rootfstype=squashfs');
});

test('arguments of the user stand behind all others, and what is meant for init stays at the end', () => {
  const plan = qemu.plan(
    { ...subject, bootArgs: 'console=ttyS0 init=/bin/sh -- /dev/vdb' },
    { ...options, machine: 'q35', extraBootArgs: ' quiet  loglevel=1 ' },
    host,
    [],
  );
  assert.equal(
    plan.kernelCommandLine,
    'console=ttyS0 init=/bin/sh reboot=t root=/dev/vda ro rootfstype=squashfs quiet loglevel=1 -- /dev/vdb',
  );
});

test('kernel arguments that no kernel takes are refused with both lengths', () => {
  const long = { ...subject, bootArgs: `console=ttyS0 ${'x'.repeat(2048)}` };
  assert.throws(() => qemu.plan(long, options, host, []), {
    code: 'MACHINE_BOOT_FAILED',
    message: /2\d\d\d bytes.*2048/,
  });
});

test('Firecracker is started without its API from one file, and left to name the root device itself', () => {
  const plan = firecracker.plan(subject, { ...options, accelerator: 'kvm' }, host, []);
  assert.deepEqual(plan.args, ['--id', 'smartvm-test', '--no-api', '--config-file', '{{runDir}}/machine.json']);
  assert.deepEqual(JSON.parse(plan.configFile?.text ?? ''), {
    'boot-source': { kernel_image_path: '/b/vmlinux', boot_args: 'console=ttyS0 reboot=k panic=1 rootfstype=squashfs' },
    drives: [{ drive_id: 'rootfs', path_on_host: '/b/rootfs.squashfs', is_root_device: true, is_read_only: true }],
    'machine-config': { vcpu_count: 2, mem_size_mib: 512 },
  });
});

test('with an initrd Firecracker has no root device: the drive is a plain one and the root is named', () => {
  const plan = firecracker.plan({ ...subject, initrdPath: '/b/initrd' }, options, host, []);
  const config = JSON.parse(plan.configFile?.text ?? '') as { drives: { is_root_device: boolean }[] };
  assert.equal(config.drives[0]?.is_root_device, false);
  assert.match(plan.kernelCommandLine, / root=\/dev\/vda ro$/);
});

const STANDS_AGAINST: readonly (readonly [
  title: string,
  reason: RegExp | undefined,
  subject: BootSubject,
  host: HostFacts,
  accelerator: 'kvm' | 'tcg',
])[] = [
  ['it is not there', /not on PATH/, subject, { os: 'linux', arch: 'x86_64', cpus: 1, tscKhz: 1 }, 'kvm'],
  ['there is no KVM', /needs KVM/, subject, host, 'tcg'],
  ['this is not Linux', /runs on Linux/, subject, { ...host, os: 'darwin' }, 'kvm'],
  ['the guest is of another architecture', /x86_64 here.*aarch64/, arm, host, 'kvm'],
  [
    'it is too old for a bzImage',
    /v1\.17\.0 on, and this is v1\.16\.2/,
    { ...subject, kernelFormat: 'bzimage' },
    host,
    'kvm',
  ],
  ['nothing', undefined, subject, host, 'kvm'],
];

for (const [title, reason, what, where, accelerator] of STANDS_AGAINST) {
  test(`what stands against Firecracker: ${title}`, () => {
    const said = firecracker.unavailable(what, where, accelerator);
    if (reason === undefined) assert.equal(said, undefined);
    else assert.match(said ?? '', reason);
  });
}
