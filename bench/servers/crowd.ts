import { createHash } from 'node:crypto';
import { chmodSync, linkSync, lstatSync, mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ArtifactRole, ImageFacts } from '../../src/image.ts';
import { bootArgsFor } from '../../src/image.ts';
import { bundleKey } from '../../src/store/bundle-key.ts';
import { Layout } from '../../src/store/layout.ts';
import { RECORD_NAME, formatRecord, type BundleRecord, type RecordedFile } from '../../src/store/record.ts';
import { stampOf } from '../../src/store/stamp.ts';
import { prepareRoot } from '../../src/store/trusted-dir.ts';

/** Fills a cache with so many bundles, as the store would have left them: tiny files, everything else as it is. */
export async function makeCrowd(cacheDir: string, count: number): Promise<void> {
  const layout = new Layout(cacheDir);
  await prepareRoot(layout);
  for (let index = 0; index < count; index += 1) makeBundle(layout, index);
}

function makeBundle(layout: Layout, index: number): void {
  const bundleId = `crowd-${index}`;
  const contents: Readonly<Partial<Record<ArtifactRole, string>>> = {
    kernel: `kernel ${index}`,
    rootfs: `rootfs ${index}`,
  };
  const kernel = fileOf('vmlinux', contents.kernel ?? '');
  const rootfs = fileOf('rootfs.ext4', contents.rootfs ?? '');
  const facts: ImageFacts = {
    reference: `crowd:${index}`,
    preset: 'custom',
    bundleId,
    arch: 'x86_64',
    ciVersion: 'custom',
    firecrackerVersion: 'v1.15.1',
    rootfsType: 'ext4',
    rootfsIsReadOnly: false,
    bootArgs: bootArgsFor('x86_64', 'ext4', false),
    source: { type: 'custom', scheme: 'crowd', locator: String(index) },
    trust: 'published',
  };
  const created = new Date(Date.UTC(2026, 0, 1) + index * 60_000);
  const record: BundleRecord = { schemaVersion: 1, facts, files: { kernel, rootfs }, createdAt: created.toISOString() };
  const dirName = `${bundleId}-${bundleKey(facts, [
    ['kernel', promiseOf(kernel)],
    ['rootfs', promiseOf(rootfs)],
  ])}`;
  const bundleDir = join(layout.bundles, dirName);
  mkdirSync(bundleDir, { mode: 0o700 });
  storeFile(layout, bundleDir, kernel, contents.kernel ?? '', created);
  storeFile(layout, bundleDir, rootfs, contents.rootfs ?? '', created);
  writeFileSync(join(bundleDir, RECORD_NAME), formatRecord(record), { mode: 0o444 });
  const mark = join(layout.used, dirName);
  writeFileSync(mark, '', { mode: 0o600 });
  utimesSync(mark, created, created);
}

function fileOf(fileName: string, content: string): RecordedFile {
  const sha256 = createHash('sha256').update(content).digest('hex');
  return { fileName, identity: `crowd:${content}`, sha256, bytes: content.length, promised: ['sha256', 'bytes'] };
}

function promiseOf({ fileName, identity, sha256, bytes }: RecordedFile): Omit<RecordedFile, 'promised'> {
  return { fileName, identity, sha256, bytes };
}

function storeFile(
  layout: Layout,
  bundleDir: string,
  { fileName, sha256 }: RecordedFile,
  content: string,
  verifiedAt: Date,
): void {
  const path = join(bundleDir, fileName);
  writeFileSync(path, content);
  chmodSync(path, 0o444);
  linkSync(path, join(layout.blobs, sha256));
  const stamp = stampOf(lstatSync(path, { bigint: true }), verifiedAt);
  writeFileSync(join(layout.stamps, `${sha256}.json`), `${JSON.stringify(stamp)}\n`, { mode: 0o600 });
}
