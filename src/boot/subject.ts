import { basename } from 'node:path';
import { SmartVMError } from '../errors.ts';
import type { Bundle } from '../image.ts';
import { recogniseKernel, recogniseRootfs } from '../vmm/kernel-format.ts';
import type { BootSubject } from '../vmm/vmm.ts';

/**
 * What is to be booted, its files looked at before anybody starts them. The store has no opinion about contents; here a file
 * that is no kernel, or no root file system, is refused with `MACHINE_BOOT_FAILED`.
 */
export async function subjectOf(bundle: Bundle, rootfsIsWritable: boolean): Promise<BootSubject> {
  const kernel = await recogniseKernel(bundle.kernelImagePath);
  if (kernel.problem !== undefined) throw unbootable(bundle, bundle.kernelImagePath, kernel.problem);
  if (kernel.arch !== bundle.arch) {
    throw unbootable(
      bundle,
      bundle.kernelImagePath,
      `is a kernel for ${kernel.arch ?? 'another machine'}, and the bundle says ${bundle.arch}`,
    );
  }
  const rootfs = await recogniseRootfs(bundle.rootfsPath);
  if (rootfs.problem !== undefined) throw unbootable(bundle, bundle.rootfsPath, rootfs.problem);
  if (rootfs.format !== bundle.rootfsType) {
    throw unbootable(bundle, bundle.rootfsPath, `holds ${rootfs.format}, and the bundle says ${bundle.rootfsType}`);
  }
  return {
    arch: bundle.arch,
    kernelPath: bundle.kernelImagePath,
    kernelFormat: kernel.format,
    kernelHasAcpi: hasAcpi(bundle),
    ...(bundle.initrdPath === undefined ? {} : { initrdPath: bundle.initrdPath }),
    rootfsPath: bundle.rootfsPath,
    rootfsType: bundle.rootfsType,
    rootfsIsWritable,
    bootArgs: bundle.bootArgs,
  };
}

/**
 * Kernels that say so, and those of Firecracker's sets up to v1.8, find their disk on the command line: ACPI came into its CI
 * kernels with v1.9 (firecracker, resources/guest_configs).
 */
function hasAcpi({ kernelImagePath, ciVersion }: Bundle): boolean {
  return !kernelImagePath.endsWith('-no-acpi') && !/^v1\.[0-8]$/.test(ciVersion);
}

function unbootable(bundle: Bundle, path: string, problem: string): SmartVMError {
  return new SmartVMError(`Failed to boot ${bundle.bundleId}: ${basename(path)} ${problem}`, 'MACHINE_BOOT_FAILED', {
    hint: `Fetch it again with "smartvm ensure ${bundle.reference} --force"; if it is the same then, the source gives no bootable file.`,
  });
}
