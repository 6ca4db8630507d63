import assert from 'node:assert/strict';
import { chmod, mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import test, { type TestContext } from 'node:test';
import {
  BaseImageManager,
  bootArgsFor,
  type Artifact,
  type BaseImageManagerOptions,
  type ImageSource,
  type ResolvedImage,
} from 'smartvm';
import { rejection } from './support/rejection.ts';

/** A source whose images a test changes under way, and which counts how often it was asked and read. */
interface World {
  kernel: string;
  rootfs: string;
  bundleId: string;
  bootArgs: string;
  failing: boolean;
  asked: number;
  opened: number;
}

test('an image is fetched once; asked for again it is the same bundle, and nothing is opened', async (t) => {
  const { world, images } = await setUp(t);
  const first = await images.ensureBaseImage({ reference: 'world' });
  const second = await images.ensureBaseImage({ reference: 'world' });
  assert.equal(await readFile(first.kernelImagePath, 'utf8'), 'kernel 1');
  assert.equal(first.createdAt, first.lastAccessedAt);
  assert.deepEqual({ ...second, lastAccessedAt: first.lastAccessedAt }, first);
  assert.equal(world.asked, 2);
  assert.equal(world.opened, 2);
});

test('a way to verify that there is not is refused before anything is asked', async (t) => {
  const { world, images } = await setUp(t);
  const call = { reference: 'world', verify: 'never' as 'always' };
  const error = await rejection(images.ensureBaseImage(call));
  assert.deepEqual([error.code, error.message], ['INVALID_BASE_IMAGE_OPTIONS', 'verify must be "always", got "never"']);
  assert.equal(world.asked, 0);
});

test('every path of a bundle is absolute and lies in its folder, and every file is read-only', async (t) => {
  const { images } = await setUp(t);
  const bundle = await images.ensureBaseImage({ reference: 'world' });
  for (const path of [bundle.kernelImagePath, bundle.rootfsPath]) {
    assert.ok(path.startsWith(`${bundle.bundleDir}/`));
    assert.equal((await stat(path)).mode & 0o777, 0o444);
  }
  assert.ok(bundle.bundleDir.startsWith(`${images.getCacheDir()}/`));
});

test('changed content or changed boot arguments under the same id are another bundle', async (t) => {
  const { world, images } = await setUp(t);
  const first = await images.ensureBaseImage({ reference: 'world' });
  world.bootArgs = 'console=ttyS0 quiet';
  const second = await images.ensureBaseImage({ reference: 'world' });
  assert.equal(second.bundleId, first.bundleId);
  assert.equal(second.bootArgs, 'console=ttyS0 quiet');
  assert.notEqual(second.bundleDir, first.bundleDir);
  assert.equal(world.opened, 2, 'the same content is not fetched again');
  world.kernel = 'kernel 2';
  const third = await images.ensureBaseImage({ reference: 'world' });
  assert.equal(await readFile(third.kernelImagePath, 'utf8'), 'kernel 2');
});

test('keeps the cached bundle when a forced download fails', async (t) => {
  const { world, images } = await setUp(t);
  const good = await images.ensureBaseImage({ reference: 'world' });
  world.failing = true;
  const failure = await rejection(images.ensureBaseImage({ reference: 'world', forceDownload: true }));
  assert.equal(failure.code, 'BASE_IMAGE_PREPARE_FAILED');
  assert.match(failure.message, /world-x86_64.*the line was cut/);
  assert.ok(failure.cause instanceof Error);
  world.failing = false;
  const again = await images.ensureBaseImage({ reference: 'world' });
  assert.equal(again.createdAt, good.createdAt);
  assert.equal(await readFile(again.rootfsPath, 'utf8'), 'rootfs 1');
});

test('a forced download fetches again and gives a new bundle', async (t) => {
  const { world, images } = await setUp(t);
  const first = await images.ensureBaseImage({ reference: 'world' });
  await new Promise((resolve) => setTimeout(resolve, 5));
  const second = await images.ensureBaseImage({ reference: 'world', forceDownload: true });
  assert.equal(world.opened, 4);
  assert.notEqual(second.createdAt, first.createdAt);
  assert.equal((await images.listBaseImages()).length, 1);
});

test('a damaged file is noticed, moved aside and fetched again in the same call, with a warning', async (t) => {
  const warnings: string[] = [];
  const { world, images } = await setUp(t, { logger: { warn: (text) => warnings.push(text), info: () => undefined } });
  const bundle = await images.ensureBaseImage({ reference: 'world' });
  await chmod(bundle.kernelImagePath, 0o644);
  await writeFile(bundle.kernelImagePath, 'kernel X');
  assert.equal((await images.verifyBaseImages()).ok, false);
  const mended = await images.ensureBaseImage({ reference: 'world' });
  assert.equal(await readFile(mended.kernelImagePath, 'utf8'), 'kernel 1');
  assert.ok(world.opened > 2);
  assert.ok(warnings.length > 0);
  assert.equal((await images.verifyBaseImages()).ok, true);
});

test('verify: always, on a call or on the manager, hashes what a stamp vouches for', async (t) => {
  const { world, images } = await setUp(t);
  const bundle = await images.ensureBaseImage({ reference: 'world' });
  await chmod(bundle.kernelImagePath, 0o644);
  await writeFile(bundle.kernelImagePath, 'kernel X');
  const { size, ino, mtimeNs, ctimeNs } = await stat(bundle.kernelImagePath, { bigint: true });
  const stamp = join(images.getCacheDir(), 'v1/stamps', `${bundle.checksums.kernelSha256}.json`);
  const forge = async (): Promise<void> => {
    const verifiedAt = new Date();
    const forged = { size: `${size}`, ino: `${ino}`, mtimeNs: `${mtimeNs}`, ctimeNs: `${ctimeNs}`, verifiedAt };
    await writeFile(stamp, JSON.stringify(forged));
  };
  await forge();
  await images.ensureBaseImage({ reference: 'world' });
  assert.equal(world.opened, 2, 'a stamp is believed');
  const mended = await images.ensureBaseImage({ reference: 'world', verify: 'always' });
  assert.equal(await readFile(mended.kernelImagePath, 'utf8'), 'kernel 1');
  assert.equal(world.opened, 3);

  const strict = await setUp(t, { verify: 'always' });
  const [first, second] = [await strict.images.ensureBaseImage({ reference: 'world' }), strict.images];
  const stampOf = join(strict.images.getCacheDir(), 'v1/stamps', `${first.checksums.kernelSha256}.json`);
  const before = await readFile(stampOf, 'utf8');
  await new Promise((resolve) => setTimeout(resolve, 5));
  await second.ensureBaseImage({ reference: 'world' });
  assert.notEqual(await readFile(stampOf, 'utf8'), before, 'it was hashed again');
  assert.equal(strict.world.opened, 2);
});

test('keeps as many bundles as it was told, the last used ones, and names what went in the order of their use', async (t) => {
  const { world, images } = await setUp(t, { maxStoredBaseImages: 4 });
  const ids = ['a', 'b', 'c', 'd'];
  for (const id of ids) {
    world.bundleId = id;
    await images.ensureBaseImage({ reference: 'world' });
    await new Promise((resolve) => setTimeout(resolve, 15));
  }
  const two = new BaseImageManager({ cacheDir: images.getCacheDir(), maxStoredBaseImages: 2 });
  const plan = await two.pruneBaseImages({ keepBundleId: 'a', dryRun: true });
  assert.deepEqual(
    plan.removed.map(({ bundleId }) => bundleId),
    ['c', 'b'],
  );
  assert.equal((await images.listBaseImages()).length, 4);
  assert.deepEqual(await two.pruneBaseImageCache('a'), ['c', 'b']);
  const left = (await images.listBaseImages()).map(({ bundleId }) => bundleId);
  assert.deepEqual(left.sort(), ['a', 'd']);
});

test('offline, what a reference last resolved to is the answer; what is not there is said, with the command that gets it', async (t) => {
  const { world, images } = await setUp(t);
  const online = await images.ensureBaseImage({ reference: 'world' });
  world.kernel = 'kernel 2';
  const asked = world.asked;
  const offline = await images.ensureBaseImage({ reference: 'world', offline: true });
  assert.equal(offline.bundleDir, online.bundleDir);
  assert.equal(world.asked, asked);
  const failure = await rejection(images.ensureBaseImage({ reference: 'world:other', offline: true }));
  assert.equal(failure.code, 'BASE_IMAGE_NOT_CACHED');
  assert.match(failure.hint ?? '', /smartvm ensure world:other/);
});

test('an image that is built here is remembered until a fetch is forced', async (t) => {
  const { world, images } = await setUp(t, {}, false);
  const first = await images.ensureBaseImage({ reference: 'world' });
  world.kernel = 'kernel 2';
  assert.equal((await images.ensureBaseImage({ reference: 'world' })).bundleDir, first.bundleDir);
  assert.equal(world.asked, 1);
  const second = await images.ensureBaseImage({ reference: 'world', forceDownload: true });
  assert.equal(await readFile(second.kernelImagePath, 'utf8'), 'kernel 2');
  assert.equal((await images.ensureBaseImage({ reference: 'world' })).bundleDir, second.bundleDir);
});

test('a bundle is found by its id, by the beginning of it, by its folder’s name and by the reference it came from', async (t) => {
  const { world, images } = await setUp(t, { maxStoredBaseImages: 5 });
  const first = await images.ensureBaseImage({ reference: 'world' });
  world.bundleId = 'world-two';
  const second = await images.ensureBaseImage({ reference: 'world:two' });
  const dir = (bundles: readonly { bundleDir: string }[]): string[] => bundles.map(({ bundleDir }) => bundleDir);
  assert.deepEqual(dir(await images.findBaseImages('world-x86_64')), [first.bundleDir]);
  assert.deepEqual(dir(await images.findBaseImages('world-t')), [second.bundleDir]);
  assert.deepEqual(dir(await images.findBaseImages(basename(first.bundleDir))), [first.bundleDir]);
  assert.deepEqual(dir(await images.findBaseImages('world:two')), [second.bundleDir]);
  assert.equal((await rejection(images.findBaseImages('world-'))).code, 'INVALID_BASE_IMAGE_OPTIONS');
  assert.equal((await rejection(images.findBaseImages('nothing'))).code, 'BASE_IMAGE_NOT_CACHED');
});

test('a removed bundle is gone with its files, and its neighbours stay', async (t) => {
  const { world, images } = await setUp(t, { maxStoredBaseImages: 5 });
  const first = await images.ensureBaseImage({ reference: 'world' });
  world.bundleId = 'neighbour';
  const second = await images.ensureBaseImage({ reference: 'world' });
  await images.removeBaseImage(first);
  assert.deepEqual(
    (await images.listBaseImages()).map(({ bundleId }) => bundleId),
    ['neighbour'],
  );
  assert.equal(await readFile(second.kernelImagePath, 'utf8'), 'kernel 1');
  assert.equal((await images.verifyBaseImages([second])).ok, true);
});

test('a wrong digest is refused with both values, and nothing is left behind', async (t) => {
  const { images } = await setUp(t, {}, true, 'a'.repeat(64));
  const failure = await rejection(images.ensureBaseImage({ reference: 'world' }));
  assert.equal(failure.code, 'BASE_IMAGE_PREPARE_FAILED');
  assert.match(failure.message, /aaaaaaaa/);
  assert.deepEqual(await images.listBaseImages(), []);
  assert.deepEqual(await readdir(join(images.getCacheDir(), 'v1', 'staging')), []);
});

test('an aborted call rejects with the reason of the signal, not with an error of ours', async (t) => {
  const { images } = await setUp(t);
  const reason = new DOMException('enough', 'AbortError');
  await assert.rejects(images.ensureBaseImage({ reference: 'world', signal: AbortSignal.abort(reason) }), reason);
});

test('making a manager, listing and looking for a bundle touch nothing', async (t) => {
  const { images } = await setUp(t);
  assert.deepEqual(await images.listBaseImages(), []);
  assert.deepEqual(await images.verifyBaseImages(), { ok: true, bundles: [] });
  await rejection(images.findBaseImages('nothing'));
  await assert.rejects(stat(images.getCacheDir()), { code: 'ENOENT' });
});

test('a default architecture that this machine cannot boot is said aloud', async (t) => {
  const warnings: string[] = [];
  const { images } = await setUp(t, {
    arch: undefined,
    logger: { warn: (text) => warnings.push(text), info: () => undefined },
  });
  const real = process.arch;
  t.after(() => Object.defineProperty(process, 'arch', { value: real }));
  Object.defineProperty(process, 'arch', { value: 'arm64' });
  await images.ensureBaseImage({ reference: 'world' });
  assert.match(warnings.join('\n'), /x86_64.*aarch64/);
});

test('an unknown source is named, and the known ones are listed', async (t) => {
  const { images } = await setUp(t);
  const failure = await rejection(images.ensureBaseImage({ reference: 'nosuch:thing' }));
  assert.equal(failure.code, 'INVALID_BASE_IMAGE_REFERENCE');
  assert.match(failure.hint ?? '', /debian/);
});

async function setUp(
  t: TestContext,
  options: BaseImageManagerOptions = {},
  asksEveryTime = true,
  sha256?: string,
): Promise<{ world: World; images: BaseImageManager }> {
  const folder = await mkdtemp(join(tmpdir(), 'smartvm-manager-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const world: World = {
    kernel: 'kernel 1',
    rootfs: 'rootfs 1',
    bundleId: 'world-x86_64',
    bootArgs: bootArgsFor('x86_64', 'ext4', false),
    failing: false,
    asked: 0,
    opened: 0,
  };
  const source: ImageSource = {
    scheme: 'world',
    asksEveryTime,
    resolve: (locator) => Promise.resolve(imageOf(world, locator, sha256)),
  };
  const images = new BaseImageManager({
    arch: 'x86_64',
    cacheDir: join(folder, 'cache'),
    sources: [source],
    ...options,
  });
  return { world, images };
}

function imageOf(world: World, locator: string, sha256: string | undefined): ResolvedImage {
  world.asked += 1;
  return {
    facts: {
      reference: `world:${locator}`,
      preset: 'custom',
      bundleId: world.bundleId,
      arch: 'x86_64',
      ciVersion: 'custom',
      firecrackerVersion: 'v1.9.0',
      rootfsType: 'ext4',
      rootfsIsReadOnly: false,
      bootArgs: world.bootArgs,
      source: { type: 'custom', scheme: 'world', locator },
      trust: 'first-use',
    },
    artifacts: { kernel: artifact(world, 'kernel', sha256), rootfs: artifact(world, 'rootfs') },
  };
}

function artifact(world: World, role: 'kernel' | 'rootfs', sha256?: string): Artifact {
  const text = world[role];
  return {
    fileName: role,
    identity: `world ${text}`,
    ...(sha256 === undefined ? {} : { sha256 }),
    async open() {
      world.opened += 1;
      return bytesOf(text, world);
    },
  };
}

async function* bytesOf(text: string, world: World): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text.slice(0, 3));
  await new Promise((resolve) => setImmediate(resolve));
  if (world.failing) throw new Error('the line was cut');
  yield Buffer.from(text.slice(3));
}
