import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BaseImageManager } from 'smartvm';

// Housekeeping of a cache with many bundles: <prune | list | seed> <cache> <calls>. Prints how long each call took, in milliseconds.
const [what = '', cacheDir = '', calls] = process.argv.slice(2);
const images = new BaseImageManager({ cacheDir, maxStoredBaseImages: 1_000_000 });
const jobs: Readonly<Record<string, () => Promise<unknown>>> = {
  prune: () => images.pruneBaseImages(),
  list: async () => (await images.listBaseImages()).reduce((sum, { sizes }) => sum + sizes.rootfsBytes, 0),
  // The first version of this library read every record in turn, on every hit.
  seed: async () => {
    const folder = join(cacheDir, 'v1', 'bundles');
    for (const name of await readdir(folder)) JSON.parse(await readFile(join(folder, name, 'manifest.json'), 'utf8'));
  },
};
const times: number[] = [];
for (let call = 0; call < Number(calls); call += 1) {
  const begin = performance.now();
  await jobs[what]?.();
  times.push(performance.now() - begin);
}
process.stdout.write(JSON.stringify(times));
