import { mkdir, readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { SmartVMError } from '../errors.ts';
import { isPlainName } from '../image.ts';
import { readText, unlessMissing, writeWhole } from './files.ts';
import { Layout } from './layout.ts';
import { reading, writing } from './store-error.ts';
import { checkRoot } from './trusted-dir.ts';

/**
 * Keeps what a boot of this bundle showed, beside it, under a plain name such as `qemu-tcg`; an older receipt of that name is
 * replaced. Returns the path. Rejects with `STORE_UNWRITABLE` or `STORE_NO_SPACE`; with `BASE_IMAGE_NOT_CACHED` when the bundle
 * does not lie in a cache of ours.
 */
export async function writeReceipt(bundleDir: string, name: string, receipt: object): Promise<string> {
  if (!isPlainName(name)) throw new TypeError(`${JSON.stringify(name)} is no plain name`);
  const layout = layoutOf(bundleDir);
  if (layout === undefined || !(await reading('look at the cache', () => checkRoot(layout)))) throw notOurs(bundleDir);
  const folder = join(layout.receipts, basename(bundleDir));
  const path = join(folder, `${name}.json`);
  await writing(`keep the receipt of ${basename(bundleDir)}`, async () => {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await writeWhole(path, `${JSON.stringify(receipt, null, 2)}\n`);
  });
  return path;
}

/** All receipts of a bundle, by name; those that cannot be read as JSON are left out. */
export async function readReceipts(bundleDir: string): Promise<readonly unknown[]> {
  const layout = layoutOf(bundleDir);
  if (layout === undefined) return [];
  const folder = join(layout.receipts, basename(bundleDir));
  const texts = await reading(`read the receipts of ${basename(bundleDir)}`, async () => {
    const names = (await unlessMissing(() => readdir(folder))) ?? [];
    const receipts = names.filter((name) => name.endsWith('.json')).sort();
    return await Promise.all(receipts.map((name) => readText(join(folder, name))));
  });
  return texts.flatMap((text) => {
    try {
      return text === undefined ? [] : [JSON.parse(text) as unknown];
    } catch {
      return [];
    }
  });
}

/** The cache that a bundle lies in, or `undefined` for a folder that lies elsewhere. */
function layoutOf(bundleDir: string): Layout | undefined {
  const layout = new Layout(dirname(dirname(dirname(bundleDir))));
  return bundleDir === join(layout.bundles, basename(bundleDir)) ? layout : undefined;
}

function notOurs(bundleDir: string): SmartVMError {
  return new SmartVMError(
    `Failed to keep a receipt of ${bundleDir}: it does not lie in a cache of ours`,
    'BASE_IMAGE_NOT_CACHED',
  );
}
