import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { isBundleId, isPlainName, type Artifact, type ByteRange, type ResolvedImage } from '../../src/image.ts';
import { contextOf } from '../support/images.ts';
import type { PreparedSource, SourceFixture } from './contract.ts';

const SOURCES = new URL('../../src/sources/', import.meta.url);
const schemes = readdirSync(SOURCES)
  .filter((name) => name.endsWith('.ts'))
  .map((name) => name.slice(0, -'.ts'.length));

test('there are sources, and the contract takes each of them up', () => {
  assert.ok(schemes.length >= 3, schemes.join());
});

for (const scheme of schemes) {
  test(`the source ${scheme} keeps the contract`, async (t) => {
    const prepared = await prepare(t, scheme);
    if (prepared.unavailable !== undefined) {
      t.skip(prepared.unavailable);
      return;
    }
    const { source, locator, request } = prepared;
    const resolve = (): Promise<ResolvedImage> =>
      source.resolve(locator, { arch: 'x86_64', ...contextOf(), ...request });
    const image = await resolve();
    const artifacts = artifactsOf(image);

    // A source that builds keeps what it built while somebody reads; without this every reading below would build anew.
    const held = (await image.artifacts.kernel.open(contextOf()))[Symbol.asyncIterator]();
    await held.next();

    await t.test('its scheme is the name of its file', () => assert.equal(source.scheme, scheme));

    await t.test('the image is for the architecture that was asked for, and its id is a valid one', () => {
      assert.equal(image.facts.arch, request.arch ?? 'x86_64');
      assert.ok(isBundleId(image.facts.bundleId), image.facts.bundleId);
      assert.match(image.facts.firecrackerVersion, /^v\d+\.\d+\.\d+$/);
      assert.match(image.facts.bootArgs, /^[\x20-\x7e]{1,2048}$/);
    });

    await t.test('file names are plain and differ by more than case', () => {
      const names = artifacts.map(({ fileName }) => fileName);
      for (const name of names) assert.ok(isPlainName(name), name);
      assert.equal(new Set([...names, 'manifest.json'].map((name) => name.toLowerCase())).size, names.length + 1);
    });

    await t.test('facts are data: nothing is lost on the way through JSON', () => {
      assert.deepEqual(JSON.parse(JSON.stringify(image.facts)), image.facts);
    });

    await t.test('resolved again, the facts and the identity of every file are the same', async () => {
      const again = await resolve();
      assert.deepEqual(again.facts, image.facts);
      assert.deepEqual(artifactsOf(again).map(promises), artifacts.map(promises));
      assert.equal(new Set(artifacts.map(({ identity }) => identity)).size, artifacts.length);
    });

    for (const artifact of artifacts) {
      await t.test(
        `${artifact.fileName} opens twice, gives the same bytes, and they are what was promised`,
        async () => {
          const [first, second] = await Promise.all([read(artifact), read(artifact)]);
          assert.ok(first.equals(second));
          assert.equal(first.byteLength, artifact.bytes ?? first.byteLength);
          const sha256 = createHash('sha256').update(first).digest('hex');
          assert.equal(sha256, artifact.sha256 ?? sha256);
          for (const range of [{ start: 0, end: 16 }, { start: 100, end: 2000 }, { start: first.byteLength - 7 }]) {
            const part = await read(artifact, range);
            assert.ok(part.equals(first.subarray(range.start, range.end)), JSON.stringify(range));
          }
        },
      );
    }

    await t.test('a cancelled call rejects with the AbortError', async () => {
      const signal = AbortSignal.abort();
      const cancelled = { name: 'AbortError' };
      await assert.rejects(
        source.resolve(locator, { arch: 'x86_64', ...contextOf(signal), ...request, signal }),
        cancelled,
      );
      await assert.rejects(read(image.artifacts.kernel, undefined, signal), cancelled);
    });

    await t.test('reading may end at any time', async () => {
      for await (const chunk of await image.artifacts.rootfs.open(contextOf())) {
        assert.ok(chunk.byteLength > 0);
        break;
      }
      await held.return?.();
    });
  });
}

/** Sources work in a temporary folder of their own, which is looked into when all is done: nothing may be left there. */
async function prepare(t: TestContext, scheme: string): Promise<PreparedSource> {
  const module = (await import(`./${scheme}.fixture.ts`)) as { readonly fixture: SourceFixture };
  const folder = await mkdtemp(join(tmpdir(), 'smartvm-contract-'));
  const before = process.env['TMPDIR'];
  process.env['TMPDIR'] = folder;
  const prepared = await module.fixture.prepare();
  t.after(async () => {
    await prepared.close();
    if (before === undefined) delete process.env['TMPDIR'];
    else process.env['TMPDIR'] = before;
    // Whoever built in there clears up when the last reader has left, which nobody can wait for.
    let left = await readdir(folder);
    for (let tries = 0; left.length > 0 && tries < 100; tries += 1) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      left = await readdir(folder);
    }
    await rm(folder, { recursive: true });
    assert.deepEqual(left, [], 'something was left in the temporary folder');
  });
  return prepared;
}

function artifactsOf({ artifacts: { kernel, rootfs, initrd } }: ResolvedImage): Artifact[] {
  return initrd === undefined ? [kernel, rootfs] : [kernel, rootfs, initrd];
}

function promises({ fileName, identity, sha256, bytes }: Artifact): object {
  return { fileName, identity, sha256, bytes };
}

async function read(artifact: Artifact, range?: ByteRange, signal?: AbortSignal): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of await artifact.open(contextOf(signal), range)) chunks.push(Uint8Array.from(chunk));
  return Buffer.concat(chunks);
}
