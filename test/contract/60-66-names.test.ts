import assert from 'node:assert/strict';
import { mkdir, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { rejection } from '../support/rejection.ts';
import { FACTS, KERNEL, ROOTFS, bucketWorld, digestOf, manifestWorld, startWeb, worldOf } from './contract.fixture.ts';

/** The name on disk of a kernel at this path of a web server. */
async function nameOf(t: TestContext, target: string, fields: object = {}): Promise<string> {
  const web = await startWeb(t, { '/rootfs.ext4': ROOTFS });
  const url = `${web.origin}${target}`;
  web.files.set(decodeURIComponent(new URL(url).pathname), KERNEL);
  const manifest = {
    ...FACTS,
    kernel: { url, sha256: digestOf(KERNEL), ...fields },
    rootfs: { url: `${web.origin}/rootfs.ext4`, sha256: digestOf(ROOTFS), fileName: 'r' },
  };
  web.files.set('/m.json', JSON.stringify(manifest));
  const { images } = await worldOf(t);
  const bundle = await images.ensureBaseImage({ manifestUrl: `${web.origin}/m.json` });
  return basename(bundle.kernelImagePath);
}

test('60: fileName is the name of the file', async (t) => {
  assert.equal(await nameOf(t, '/a/vmlinux-6.1', { fileName: 'kernel.bin' }), 'kernel.bin');
});

for (const [target, name] of [
  ['/a/vmlinux-6.1', 'vmlinux-6.1'],
  ['/a/vmlinux?token=x/y#part', 'vmlinux'],
  ['/a%20b.img', 'a_20b.img'],
  ['/a%2Fb.img', 'a_2Fb.img'],
  ['/k+l,m~n', 'k_l_m_n'],
  ['/images/', 'vmlinux'],
  ['/', 'vmlinux'],
] as const) {
  const rule = target.endsWith('/') ? 62 : /[%+]/.test(target) ? 63 : 61;
  test(`${rule}: ${target} of an URL gives the name ${name}`, async (t) => {
    assert.equal(await nameOf(t, target), name);
  });
}

for (const [path, name] of [
  ['sub/folder/vmlinux-6.1', 'vmlinux-6.1'],
  ['a b?c.img', 'a_b_c.img'],
  ['ä', '_'],
] as const) {
  test(`61, 63: the path ${JSON.stringify(path)} gives the name ${name}`, async (t) => {
    const { ensure, folder } = await manifestWorld(t);
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), KERNEL);
    assert.equal(basename((await ensure({ kernel: { path } })).kernelImagePath), name);
  });
}

test('62: a root file system whose URL names no file is rootfs.<rootfsType>', async (t) => {
  const web = await startWeb(t, { '/kernel': KERNEL, '/': ROOTFS });
  const kernel = { url: `${web.origin}/kernel`, sha256: digestOf(KERNEL) };
  const rootfs = { url: `${web.origin}/`, sha256: digestOf(ROOTFS) };
  for (const rootfsType of ['ext4', 'squashfs']) {
    web.files.set('/m.json', JSON.stringify({ ...FACTS, rootfsType, kernel, rootfs }));
    const { images } = await worldOf(t);
    const bundle = await images.ensureBaseImage({ manifestUrl: `${web.origin}/m.json` });
    assert.equal(basename(bundle.rootfsPath), `rootfs.${rootfsType}`);
  }
});

test('63: names of the bucket are made plain in the same way', async (t) => {
  const { images } = await bucketWorld(t, ['v1.15/x86_64/vmlinux-6.1.155', 'v1.15/x86_64/ubuntu-24.04 (LTS).squashfs']);
  assert.equal(basename((await images.ensureBaseImage()).rootfsPath), 'ubuntu-24.04__LTS_.squashfs');
});

test('64: whatever a manifest calls its files, they lie in the folder of the bundle', async (t) => {
  const { ensure, folder } = await manifestWorld(t);
  for (const path of ['..vmlinux', '...', 'x\\..\\..\\y', '~root']) {
    await writeFile(join(folder, path), KERNEL);
    const bundle = await ensure({ kernel: { path } });
    assert.equal(dirname(bundle.kernelImagePath), bundle.bundleDir);
    assert.ok((await readdir(bundle.bundleDir)).includes(basename(bundle.kernelImagePath)));
  }
});

test('65 (superseded by W28): a link in the folder of a bundle is not followed', async (t) => {
  const { ensure, folder } = await manifestWorld(t);
  const bundle = await ensure();
  const elsewhere = join(folder, 'elsewhere');
  await writeFile(elsewhere, KERNEL);
  await rm(bundle.kernelImagePath, { force: true });
  await symlink(elsewhere, bundle.kernelImagePath);
  const again = await ensure();
  assert.notEqual(again.createdAt, bundle.createdAt, 'a bundle with a link in it is no hit');
  assert.ok((await readdir(again.bundleDir, { withFileTypes: true })).every((entry) => entry.isFile()));
});

for (const [kernel, rootfs] of [
  ['image', 'image'],
  ['image', 'IMAGE'],
  ['manifest.json', 'r'],
  ['Manifest.JSON', 'r'],
] as const) {
  test(`66 (superseded by W4): the fileNames ${kernel} and ${rootfs} are refused, with the field`, async (t) => {
    const { ensure } = await manifestWorld(t);
    const failure = await rejection(
      ensure({ kernel: { path: 'vmlinux', fileName: kernel }, rootfs: { path: 'rootfs.ext4', fileName: rootfs } }),
    );
    assert.equal(failure.code, 'INVALID_BASE_IMAGE_MANIFEST');
    assert.match(failure.message, /fileName/);
  });
}
