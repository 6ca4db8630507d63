import { fileURLToPath } from 'node:url';
import { BaseImageManager, hostArch, type Bundle } from 'smartvm';

/**
 * The Debian bundle of this machine, built on the first run of the tests and kept between runs beside the installed
 * packages, so that the second run is quick.
 */
export async function debianBundle(): Promise<Bundle> {
  const cacheDir = fileURLToPath(new URL('../../node_modules/.cache/smartvm', import.meta.url));
  const images = new BaseImageManager({ cacheDir, arch: hostArch() });
  return await images.ensureBaseImage({ reference: 'debian' });
}
