import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { BaseImageManager } from 'smartvm';
import { folderSource } from '../examples/custom-source.ts';

test('the source shown in docs/sources.md is the example, to the letter', async () => {
  const example = await readFile(new URL('../examples/custom-source.ts', import.meta.url), 'utf8');
  const docs = await readFile(new URL('../docs/sources.md', import.meta.url), 'utf8');
  const shown = /<!-- examples\/custom-source\.ts -->\n+```ts\n([^]*?)```\n+<!-- end -->/.exec(docs)?.[1];
  assert.equal(shown, example);
});

test('a source of your own works wherever a reference does, and a changed file is another bundle', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'smartvm-example-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const build = join(folder, 'my-build');
  await mkdir(build);
  await writeFile(join(build, 'vmlinux'), 'a kernel');
  await writeFile(join(build, 'rootfs.squashfs'), 'a root');

  const images = new BaseImageManager({ sources: [folderSource], cacheDir: join(folder, 'cache') });
  const bundle = await images.ensureBaseImage({ reference: `folder:${build}` });
  assert.equal(await readFile(bundle.kernelImagePath, 'utf8'), 'a kernel');
  assert.equal(bundle.bundleId, 'folder-my-build-x86_64');
  assert.equal((await images.ensureBaseImage({ reference: `folder:${build}` })).createdAt, bundle.createdAt);

  await writeFile(join(build, 'rootfs.squashfs'), 'a new root');
  const changed = await images.ensureBaseImage({ reference: `folder:${build}` });
  assert.equal(await readFile(changed.rootfsPath, 'utf8'), 'a new root');
  assert.equal(await readFile(bundle.rootfsPath, 'utf8'), 'a root');
});

test('a source of your own that finds nothing says so with its own code and hint', async () => {
  const images = new BaseImageManager({ sources: [folderSource] });
  await assert.rejects(images.ensureBaseImage({ reference: 'folder:/nowhere' }), { code: 'BASE_IMAGE_RESOLVE_FAILED' });
});
