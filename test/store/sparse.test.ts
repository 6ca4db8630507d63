import assert from 'node:assert/strict';
import { open, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { BaseImageManager } from 'smartvm';
import { contextOf, imageOf, noise, sha256Of } from '../support/images.ts';
import { storePlace } from './store.fixture.ts';

const KiB = 1024;
const MiB = 1024 * KiB;

/** How many bytes of a file lie on the disk. */
async function allocatedBytes(path: string): Promise<number> {
  return (await stat(path)).blocks * 512;
}

/** Writes these pieces at their positions into a file of this size, and nothing between them. */
async function writeSparse(
  path: string,
  bytes: number,
  pieces: readonly (readonly [number, Uint8Array])[],
): Promise<void> {
  const handle = await open(path, 'wx');
  await handle.truncate(bytes);
  for (const [position, piece] of pieces) await handle.write(piece, 0, piece.byteLength, position);
  await handle.close();
}

/** Skips the test where files cannot have holes. */
async function withHoles(t: TestContext, dir: string): Promise<boolean> {
  await writeSparse(join(dir, 'probe'), MiB, []);
  if ((await allocatedBytes(join(dir, 'probe'))) === 0) return true;
  t.skip('the file system of the temporary folder knows no holes');
  return false;
}

test('a local image with holes keeps them, and its digest is that of all its bytes', async (t) => {
  const { dir, cacheDir } = await storePlace(t);
  if (!(await withHoles(t, dir))) return;
  const rootfs = join(dir, 'rootfs.ext4');
  // As a file system lies in its image: something at the beginning, groups with little in them, nothing at the end.
  const data = noise(MiB);
  await writeSparse(rootfs, 64 * MiB, [
    [1024, data.subarray(0, 3 * KiB)],
    [8 * MiB, data.subarray(4 * KiB, 600 * KiB)],
    [8 * MiB + 700 * KiB, data.subarray(600 * KiB, 604 * KiB)],
    [33 * MiB + 512 * KiB, data.subarray(604 * KiB)],
  ]);
  await writeFile(join(dir, 'vmlinux'), 'a kernel');
  const manifest = {
    schemaVersion: 1,
    bundleId: 'sparse',
    arch: 'x86_64',
    firecrackerVersion: 'v1.15.1',
    rootfsType: 'ext4',
    kernel: { path: 'vmlinux' },
    rootfs: { path: 'rootfs.ext4' },
  };
  await writeFile(join(dir, 'm.json'), JSON.stringify(manifest));
  const images = new BaseImageManager({ cacheDir, arch: 'x86_64', hostedManifestPath: join(dir, 'm.json') });
  const bundle = await images.ensureBaseImage();
  assert.equal(bundle.sizes.rootfsBytes, 64 * MiB);
  assert.equal(bundle.checksums.rootfsSha256, sha256Of(await readFile(rootfs)));
  assert.equal(sha256Of(await readFile(bundle.rootfsPath)), bundle.checksums.rootfsSha256);
  const [before, after] = [await allocatedBytes(rootfs), await allocatedBytes(bundle.rootfsPath)];
  assert.ok(after <= before * 1.02, `${before} bytes lay on the disk, and ${after} do now`);
});

test('zeros are left out wherever they lie, in whatever pieces they come, and the file is as it was given', async (t) => {
  const { store, dir } = await storePlace(t);
  if (!(await withHoles(t, dir))) return;
  const random = noise(3 * MiB);
  const zeros = (bytes: number): Buffer => Buffer.alloc(bytes);
  const contents: readonly (readonly [string, Buffer, number])[] = [
    ['nothing-but-zeros', zeros(5 * MiB), 0],
    ['zeros-at-the-end', Buffer.concat([random, zeros(4 * MiB + 5)]), 3 * MiB],
    ['zeros-at-the-beginning', Buffer.concat([zeros(4 * MiB), random]), 3 * MiB],
    ['one-byte-at-the-end', Buffer.concat([zeros(4 * MiB - 1), Buffer.from([1])]), 4 * KiB],
    ['one-byte-in-a-block', Buffer.concat([zeros(2 * MiB + 2000), Buffer.from([1]), zeros(2 * MiB)]), 4 * KiB],
    ['less-than-a-block', Buffer.concat([random.subarray(0, MiB), zeros(4095), random]), 4 * MiB + 8 * KiB],
    [
      'in-turns',
      Buffer.concat(Array.from({ length: 64 }, (_, i) => (i % 2 ? zeros(64 * KiB) : random.subarray(i, i + 64 * KiB)))),
      2 * MiB,
    ],
  ];
  for (const [bundleId, content, dataBytes] of contents) {
    for (const chunkBytes of [64 * KiB, 64 * KiB - 77, 1_000_003, 8 * MiB]) {
      const kernel = { content, chunkBytes, identity: `${bundleId} in pieces of ${chunkBytes}` };
      const bundle = await store.add(imageOf({ bundleId, kernel }), contextOf());
      const what = `${bundleId} in pieces of ${chunkBytes}`;
      assert.ok(content.equals(await readFile(bundle.kernelImagePath)), what);
      assert.equal(bundle.checksums.kernelSha256, sha256Of(content), what);
      const allocated = await allocatedBytes(bundle.kernelImagePath);
      assert.ok(
        allocated <= dataBytes + 64 * KiB,
        `${what}: ${dataBytes} bytes are no zeros, ${allocated} lie on the disk`,
      );
      await store.remove(bundle, contextOf());
    }
  }
});
