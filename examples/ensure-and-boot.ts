import { BaseImageManager, SmartVMError, checkBoot } from 'smartvm';

const images = new BaseImageManager({ logger: { info: console.error, warn: console.error } });

try {
  const bundle = await images.ensureBaseImage({ reference: process.argv[2] ?? 'debian' });
  console.log(`kernel ${bundle.kernelImagePath}`);
  console.log(`rootfs ${bundle.rootfsPath} (${bundle.rootfsType})`);

  const receipt = await checkBoot(bundle, { memoryMiB: 512 });
  console.log(`booted on ${receipt.vmm} (${receipt.accelerator}) in ${receipt.bootMs} ms`);
} catch (error) {
  if (!(error instanceof SmartVMError)) throw error;
  console.error(`${error.code}: ${error.message}`);
  if (error.hint !== undefined) console.error(error.hint);
  process.exitCode = 1;
}
