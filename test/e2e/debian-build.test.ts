import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream, existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import test, { after } from 'node:test';
import { BaseImageManager, hostArch, type Context, type ProgressEvent } from 'smartvm';
import { createSource } from '../../src/sources/debian.ts';
import { debianBundle } from '../support/debian-bundle.ts';
import { rejection } from '../support/rejection.ts';
import { squashfsDifference } from '../support/squashfs-difference.ts';

/**
 * Builds happen below here, so that what they leave can be seen. Other users cannot look into it, as they can into the folder
 * where the bundle of the other tests was built: the bytes must not depend on that.
 */
const scratch = mkdtempSync(join(tmpdir(), 'smartvm-e2e-debian-'));
const realTemporary = process.env['TMPDIR'];
after(() => rmSync(scratch, { recursive: true, force: true }));

const context: Context = { logger: { warn: () => undefined, info: () => undefined }, onProgress: () => undefined };
const settings = { bucketUrl: '', releasesUrl: '', allowHttp: [] };
const arch = hostArch() ?? 'x86_64';

test('the same packages give the same bytes, at another time and in another place', async (t) => {
  const first = await debianBundle();
  process.env['TMPDIR'] = scratch;
  t.after(() => restoreTemporary());
  const image = await createSource(settings).resolve('', { ...context, arch });
  if (JSON.stringify(image.facts.source) !== JSON.stringify(first.source)) {
    t.skip('the archive has newer packages than the bundle of the other tests: remove node_modules/.cache/smartvm');
    return;
  }
  const listsBefore = aptLists();
  const again = await mkdtemp(join(realTemporary ?? '/tmp', 'smartvm-e2e-again-'));
  t.after(() => rm(again, { recursive: true }));
  const { kernel, initrd, rootfs } = image.artifacts;
  const digests = await Promise.all(
    [kernel, initrd, rootfs].map((artifact) => store(artifact?.open(context), join(again, artifact?.fileName ?? ''))),
  );
  const { kernelSha256, initrdSha256, rootfsSha256 } = first.checksums;
  const expected = [kernelSha256, initrdSha256, rootfsSha256];
  const difference =
    digests[2] === rootfsSha256 ? '' : squashfsDifference(first.rootfsPath, join(again, rootfs.fileName));
  assert.deepEqual(digests, expected, difference === '' ? undefined : `root file systems differ:\n${difference}`);
  assert.deepEqual(readdirSync(scratch), [], 'the build leaves nothing behind');
  assert.deepEqual(aptLists(), listsBefore, 'the package lists of this machine are left alone');
});

test('a build that is aborted leaves no folder and adds nothing to the cache', async (t) => {
  process.env['TMPDIR'] = scratch;
  const cacheDir = await mkdtemp(join(scratch, 'cache-'));
  t.after(() => restoreTemporary());
  const stop = new AbortController();
  const images = new BaseImageManager({
    cacheDir,
    arch,
    onProgress: (event) => {
      if (event.phase === 'step' && event.message.startsWith('extracting'))
        stop.abort(new DOMException('enough', 'AbortError'));
    },
  });
  await assert.rejects(images.ensureBaseImage({ reference: 'debian', signal: stop.signal }), { name: 'AbortError' });
  assert.deepEqual(await images.listBaseImages(), []);
  await rm(cacheDir, { recursive: true });
  assert.deepEqual(readdirSync(scratch), []);
});

test('a lock file pins what was built here; frozen, it comes from the cache and nothing is looked up', async (t) => {
  const { bundleDir, bundleId, checksums } = await debianBundle();
  const folder = await mkdtemp(join(scratch, 'lock-'));
  const events: ProgressEvent[] = [];
  const images = new BaseImageManager({
    cacheDir: dirname(dirname(dirname(bundleDir))),
    arch,
    lockFile: join(folder, 'smartvm.lock'),
    onProgress: (event) => void events.push(event),
  });
  t.after(() => rm(folder, { recursive: true }));
  const { changes } = await images.lockBaseImages([{ reference: 'debian' }]);
  assert.deepEqual(changes, [{ reference: 'debian', arch, change: 'added' }]);
  events.length = 0;
  const pinned = await images.ensureBaseImage({ reference: 'debian', frozen: true });
  assert.equal(pinned.trust, 'pinned');
  assert.deepEqual([pinned.bundleId, pinned.checksums], [bundleId, checksums]);
  assert.deepEqual(events, []);
});

test('without the tools of a build the error names the packages to install', async (t) => {
  const { PATH } = process.env;
  t.after(() => (process.env['PATH'] = PATH));
  process.env['PATH'] = scratch;
  const failure = await rejection(createSource(settings).resolve('bookworm', { ...context, arch }));
  assert.equal(failure.code, 'BASE_IMAGE_BUILD_FAILED');
  assert.match(failure.hint ?? '', /apt-get install .*mmdebstrap.*squashfs-tools/);
});

test('what is no name of a suite is refused before anything runs', async () => {
  const failure = await rejection(createSource(settings).resolve('--hook', { ...context, arch }));
  assert.equal(failure.code, 'INVALID_BASE_IMAGE_REFERENCE');
});

/** Writes what comes to a file, and returns its SHA-256. */
async function store(opening: Promise<AsyncIterable<Uint8Array>> | undefined, path: string): Promise<string> {
  const hash = createHash('sha256');
  const file = createWriteStream(path);
  for await (const chunk of (await opening) ?? []) {
    hash.update(chunk);
    if (!file.write(chunk)) await once(file, 'drain');
  }
  file.end();
  await once(file, 'close');
  return hash.digest('hex');
}

/** What `apt-get update` changes. */
function aptLists(): string[] {
  const folder = '/var/lib/apt/lists';
  return existsSync(folder) ? [...readdirSync(folder), String(statSync(folder).mtimeMs)] : [];
}

function restoreTemporary(): void {
  if (realTemporary === undefined) delete process.env['TMPDIR'];
  else process.env['TMPDIR'] = realTemporary;
}
