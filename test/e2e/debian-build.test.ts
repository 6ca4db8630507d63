import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { BaseImageManager, hostArch, type Context } from 'smartvm';
import { createSource } from '../../src/sources/debian.ts';
import { debianBundle } from '../support/debian-bundle.ts';
import { rejection } from '../support/rejection.ts';

/** Builds happen below here, so that what they leave can be seen. */
const scratch = mkdtempSync(join(tmpdir(), 'smartvm-e2e-debian-'));
const realTemporary = process.env['TMPDIR'];
after(() => rmSync(scratch, { recursive: true, force: true }));

const context: Context = { logger: { warn: () => undefined, info: () => undefined }, onProgress: () => undefined };
const settings = { bucketUrl: '', releasesUrl: '', allowHttp: [] };
const arch = hostArch() ?? 'x86_64';

test('the same packages give the same bytes, at another time and in another place', async (t) => {
  const { checksums, source } = await debianBundle();
  process.env['TMPDIR'] = scratch;
  t.after(() => restoreTemporary());
  const image = await createSource(settings).resolve('', { ...context, arch });
  if (JSON.stringify(image.facts.source) !== JSON.stringify(source)) {
    t.skip('the archive has newer packages than the bundle of the other tests: remove node_modules/.cache/smartvm');
    return;
  }
  const listsBefore = aptLists();
  const { kernel, initrd, rootfs } = image.artifacts;
  const digests = await Promise.all([kernel, initrd, rootfs].map((artifact) => digestOf(artifact?.open(context))));
  assert.deepEqual(digests, [checksums.kernelSha256, checksums.initrdSha256, checksums.rootfsSha256]);
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

async function digestOf(opening: Promise<AsyncIterable<Uint8Array>> | undefined): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of (await opening) ?? []) hash.update(chunk);
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
