import type { BaseImageManager, Bundle } from '../index.ts';

/** What all these names mean, each bundle once. Rejects for the first name that means nothing, before anything is done. */
export async function findBundles(images: BaseImageManager, names: readonly string[]): Promise<readonly Bundle[]> {
  const found = new Map<string, Bundle>();
  for (const name of names) {
    for (const bundle of await images.findBaseImages(name)) found.set(bundle.bundleDir, bundle);
  }
  return [...found.values()];
}
