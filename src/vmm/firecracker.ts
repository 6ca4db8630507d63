import lt from 'semver/functions/lt.js';
import { FEATURES } from '../compat/releases.ts';
import { kernelArguments, words } from './kernel-arguments.ts';
import { RUN_DIR, type BootSubject, type MachinePlan, type Vmm } from './vmm.ts';

/** Firecracker says these itself; `pci=off` said twice is harmless, with `--enable-pci` it would not be. */
const DROPS = /^(?:root=|ro$|rw$|pci=off$)/;
const CONFIG_NAME = 'machine.json';

/** Firecracker: needs KVM, and a guest of the host's architecture. */
export const firecracker: Vmm = {
  name: 'firecracker',

  unavailable(subject, host, accelerator) {
    if (host.os !== 'linux') return `Firecracker runs on Linux, and this is ${host.os}`;
    if (host.firecracker === undefined) return 'firecracker is not on PATH';
    if (accelerator !== 'kvm') return 'Firecracker has no emulation: it needs KVM';
    if (host.arch !== subject.arch)
      return `Firecracker runs ${host.arch ?? 'nothing'} here, and the image is ${subject.arch}`;
    const { version } = host.firecracker;
    if (subject.kernelFormat === 'bzimage' && lt(version, FEATURES.bzImage)) {
      return `a bzImage boots from Firecracker ${FEATURES.bzImage} on, and this is v${version}`;
    }
    return undefined;
  },

  plan(subject, options, host, why) {
    const kernelCommandLine = kernelArguments(subject.bootArgs, {
      drops: DROPS,
      adds: [...rootArguments(subject), ...words(options.extraBootArgs)],
    });
    return {
      vmm: 'firecracker',
      vmmVersion: host.firecracker?.version ?? 'unknown',
      accelerator: 'kvm',
      machine: 'firecracker',
      memoryMiB: options.memoryMiB,
      vcpus: options.vcpus,
      command: host.firecracker?.command ?? 'firecracker',
      args: ['--id', options.machineId, '--no-api', '--config-file', `${RUN_DIR}/${CONFIG_NAME}`],
      kernelCommandLine,
      configFile: { name: CONFIG_NAME, text: configOf(subject, kernelCommandLine, options) },
      why,
    } satisfies MachinePlan;
  },
};

/** With an initrd there is no root device (its `docs/initrd.md`): the drive is a plain one, and we say which. */
function rootArguments({ initrdPath, rootfsIsWritable }: BootSubject): readonly string[] {
  return initrdPath === undefined ? [] : ['root=/dev/vda', rootfsIsWritable ? 'rw' : 'ro'];
}

function configOf(
  subject: BootSubject,
  bootArgs: string,
  { memoryMiB, vcpus }: { readonly memoryMiB: number; readonly vcpus: number },
): string {
  const config = {
    'boot-source': {
      kernel_image_path: subject.kernelPath,
      boot_args: bootArgs,
      ...(subject.initrdPath === undefined ? {} : { initrd_path: subject.initrdPath }),
    },
    drives: [
      {
        drive_id: 'rootfs',
        path_on_host: subject.rootfsPath,
        is_root_device: subject.initrdPath === undefined,
        is_read_only: !subject.rootfsIsWritable,
      },
    ],
    'machine-config': { vcpu_count: vcpus, mem_size_mib: memoryMiB },
  };
  return `${JSON.stringify(config, null, 2)}\n`;
}
