import { mkdir, readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isPlainName } from '../image.ts';
import { readText, unlessMissing, writeWhole } from './files.ts';
import { Layout } from './layout.ts';
import { writing } from './store-error.ts';

/**
 * Keeps what a boot of this bundle showed, beside it, under a plain name such as `qemu-tcg`; an older receipt of that name is
 * replaced. Returns the path. Rejects with `STORE_UNWRITABLE` or `STORE_NO_SPACE`.
 */
export async function writeReceipt(bundleDir: string, name: string, receipt: object): Promise<string> {
  if (!isPlainName(name)) throw new TypeError(`${JSON.stringify(name)} is no plain name`);
  const folder = receiptsOf(bundleDir);
  const path = join(folder, `${name}.json`);
  await writing(`keep the receipt of ${basename(bundleDir)}`, async () => {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await writeWhole(path, `${JSON.stringify(receipt, null, 2)}\n`);
  });
  return path;
}

/** All receipts of a bundle, by name; those that cannot be read as JSON are left out. */
export async function readReceipts(bundleDir: string): Promise<readonly unknown[]> {
  const folder = receiptsOf(bundleDir);
  const names = (await unlessMissing(() => readdir(folder))) ?? [];
  const texts = await Promise.all(
    names
      .filter((name) => name.endsWith('.json'))
      .sort()
      .map((name) => readText(join(folder, name))),
  );
  return texts.flatMap((text) => {
    try {
      return text === undefined ? [] : [JSON.parse(text) as unknown];
    } catch {
      return [];
    }
  });
}

function receiptsOf(bundleDir: string): string {
  const cacheDir = dirname(dirname(dirname(bundleDir)));
  return join(new Layout(cacheDir).receipts, basename(bundleDir));
}
