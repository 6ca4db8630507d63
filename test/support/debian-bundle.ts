import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BaseImageManager, hostArch, type Bundle } from 'smartvm';

const BUILDER = fileURLToPath(new URL('../../src/sources/debian', import.meta.url));
const KEPT = fileURLToPath(new URL('../../node_modules/.cache/smartvm', import.meta.url));

/**
 * The Debian bundle of this machine, built on the first run of the tests and kept between runs beside the installed packages, so
 * that the second run is quick. It is built again when the code that builds it was changed.
 */
export async function debianBundle(): Promise<Bundle> {
  const hash = createHash('sha256');
  for (const name of readdirSync(BUILDER).sort()) hash.update(readFileSync(join(BUILDER, name)));
  const folder = hash.digest('hex').slice(0, 16);
  const images = new BaseImageManager({ cacheDir: join(KEPT, folder), arch: hostArch() });
  const bundle = await images.ensureBaseImage({ reference: 'debian' });
  for (const name of await readdir(KEPT)) {
    if (name !== folder) await rm(join(KEPT, name), { recursive: true, force: true });
  }
  return bundle;
}
