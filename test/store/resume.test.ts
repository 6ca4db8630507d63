import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { appendFile, chmod, open, readFile, readdir, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { SmartVMError } from '../../src/errors.ts';
import type { ArtifactStream, ByteRange, Context, ProgressEvent, ResolvedImage } from '../../src/image.ts';
import { BundleStore } from '../../src/store/bundle-store.ts';
import { withLock } from '../../src/store/lock.ts';
import { contextOf, imageOf, noise, sha256Of, type ArtifactOptions } from '../support/images.ts';
import { rejection, runScript, storePlace, until, type StorePlace } from './store.fixture.ts';

const MiB = 1024 * 1024;
const CONTENT = noise(40 * MiB);
const VALIDATOR = '"v1"';

/** A kernel that is cut when it has got this far, and what was asked of its source. */
interface Cut extends ArtifactOptions {
  readonly asked: (ByteRange | undefined)[];
}

function kernelOf(options: Partial<ArtifactOptions> & { readonly cutAt?: number } = {}): Cut {
  const { cutAt = Infinity, ...rest } = options;
  const asked: (ByteRange | undefined)[] = [];
  return {
    content: CONTENT,
    validator: VALIDATOR,
    chunkBytes: MiB,
    onOpen: (_role, _context, range) => void asked.push(range),
    onChunk: (position) => {
      if (position >= cutAt) throw new Error('the line was cut');
    },
    ...rest,
    asked,
  };
}

const key = sha256Of(CONTENT);
const partOf = (root: string, of = key): string => join(root, 'staging', `${of}.part`);
const journalOf = (root: string, of = key): string => `${partOf(root, of)}.journal`;

/** A cache in which the kernel was cut at this place. */
async function afterCut(t: TestContext, cutAt: number, options: Partial<ArtifactOptions> = {}): Promise<StorePlace> {
  const place = await storePlace(t);
  await assert.rejects(place.store.add(imageOf({ kernel: kernelOf({ ...options, cutAt }) }), contextOf()), /was cut/);
  return place;
}

/** Fetches again, and gives from where on the kernel was asked for. */
async function goOn(place: StorePlace, kernel = kernelOf()): Promise<readonly (number | undefined)[]> {
  const bundle = await new BundleStore({ cacheDir: place.cacheDir }).add(imageOf({ kernel }), contextOf());
  assert.ok(Buffer.from(kernel.content).equals(await readFile(bundle.kernelImagePath)));
  assert.deepEqual(await readdir(join(place.root, 'staging')), []);
  return kernel.asked.map((range) => range?.start);
}

/** The same image, whose kernel says this of its bytes whenever it is asked. */
function withValidator(image: ResolvedImage, validatorNow: () => string | undefined): ResolvedImage {
  const { kernel } = image.artifacts;
  const open = async (context: Context, range?: ByteRange): Promise<ArtifactStream> =>
    Object.defineProperty(await kernel.open(context, range), 'validator', { get: validatorNow });
  return { ...image, artifacts: { ...image.artifacts, kernel: { ...kernel, open } } };
}

async function change(path: string, position: number, bytes: Uint8Array): Promise<void> {
  const handle = await open(path, 'r+');
  await handle.write(bytes, 0, bytes.byteLength, position);
  await handle.close();
}

test('what was cut is gone on with where it broke, by the next call, with what its source said of it', async (t) => {
  const place = await afterCut(t, 21 * MiB);
  assert.deepEqual((await readdir(join(place.root, 'staging'))).sort(), [`${key}.part`, `${key}.part.journal`]);
  assert.equal((await stat(partOf(place.root))).size, 21 * MiB);
  const kernel = kernelOf();
  const context = contextOf();
  const bundle = await place.store.add(imageOf({ kernel }), context);
  assert.deepEqual(kernel.asked, [{ start: 21 * MiB, validator: VALIDATOR }]);
  assert.ok(CONTENT.equals(await readFile(bundle.kernelImagePath)));
  assert.deepEqual(await place.store.verify(bundle, contextOf()), []);
  assert.deepEqual(await readdir(join(place.root, 'staging')), []);
  const told = context.events.filter((event) => event.phase === 'fetch' && event.role === 'kernel');
  assert.ok(told.every((event) => event.phase === 'fetch' && event.resumedBytes === 21 * MiB));
  assert.deepEqual(told.map((event) => event.phase === 'fetch' && event.bytes).slice(0, 2), [21 * MiB, 22 * MiB]);
  assert.deepEqual(context.warnings, []);
});

test('the journal says what the rest is asked for with, and what the beginning hashes to, line by line', async (t) => {
  const { root } = await afterCut(t, 21 * MiB);
  const [header = '', ...lines] = (await readFile(journalOf(root), 'utf8')).split('\n');
  assert.deepEqual(JSON.parse(header), { identity: `memory:${key}`, validator: VALIDATOR, totalBytes: 40 * MiB });
  const line = (bytes: number): string => `${bytes} ${sha256Of(CONTENT.subarray(0, bytes))}`;
  assert.deepEqual(lines, [line(16 * MiB), line(21 * MiB), '']);
});

test('what was begun by a call that was aborted is gone on with, and so is what others were getting when one failed', async (t) => {
  const place = await storePlace(t);
  const stop = new AbortController();
  const onChunk = (position: number): void => {
    if (position === 9 * MiB) stop.abort();
  };
  const aborted = place.store.add(imageOf({ kernel: kernelOf({ onChunk }) }), contextOf(stop.signal));
  await assert.rejects(aborted, { name: 'AbortError' });
  let begun = (): void => undefined;
  const isBegun = new Promise<void>((resolve) => (begun = resolve));
  const half = kernelOf({
    onChunk: async (position, { signal }) => {
      if (position < 12 * MiB) return;
      begun();
      await new Promise((resolve) => signal?.addEventListener('abort', resolve, { once: true }));
    },
  });
  const rootfs = { content: 'r', onOpen: () => isBegun.then(() => Promise.reject(new Error('the other one failed'))) };
  await assert.rejects(place.store.add(imageOf({ kernel: half, rootfs }), contextOf()), /the other one failed/);
  assert.deepEqual(await goOn(place), [12 * MiB]);
  assert.deepEqual(half.asked, [{ start: 9 * MiB, validator: VALIDATOR }]);
});

test('what a process was getting that was killed is gone on with from the last checkpoint', async (t) => {
  const place = await storePlace(t);
  const stuckKernel = { bytes: CONTENT.byteLength, stuckAt: 37 * MiB, validator: VALIDATOR };
  const victim = runScript(t, 'worker.fixture.ts', [
    JSON.stringify({ cacheDir: place.cacheDir, act: 'add', stuckKernel }),
  ]);
  const part = partOf(place.root);
  await until('the bytes', () => (statSync(part, { throwIfNoEntry: false })?.size ?? 0) >= 36 * MiB);
  victim.kill('SIGKILL');
  await victim.ended;
  const [from = 0] = await goOn(place);
  assert.ok(from >= 32 * MiB && from <= 37 * MiB, `from ${from}`);
});

test('when the source has other bytes now it begins at 0, and nothing of the old is left, not even under zeros', async (t) => {
  for (const unknown of [{ sha256: false, bytes: false }, {}]) {
    const promised = { ...unknown, identity: 'an address' };
    const other = Buffer.concat([noise(MiB, 1), Buffer.alloc(20 * MiB), noise(MiB, 2)]);
    const place = await afterCut(t, 21 * MiB, {
      ...promised,
      sha256: sha256Of(other),
      bytes: other.byteLength,
      ...unknown,
    });
    const now = kernelOf({ ...promised, content: other, validator: '"v2"' });
    const warned = contextOf();
    const bundle = await place.store.add(imageOf({ kernel: now }), warned);
    assert.deepEqual(now.asked, [{ start: 21 * MiB, validator: VALIDATOR }]);
    assert.ok(other.equals(await readFile(bundle.kernelImagePath)));
    const kernelEvents = warned.events.flatMap((event) =>
      event.phase === 'fetch' && event.role === 'kernel' ? [event.resumedBytes ?? 0] : [],
    );
    assert.ok(
      kernelEvents.every((bytes) => bytes === 0),
      'nothing of it was here',
    );
    assert.deepEqual(await readdir(join(place.root, 'staging')), []);
  }
});

test('of what the disk changed only the part before counts: a bit, zeros as after a power cut, a shorter file, all of it', async (t) => {
  const changes: readonly [(part: string) => Promise<void>, number | undefined][] = [
    [(part) => change(part, 20 * MiB, Buffer.from([(CONTENT[20 * MiB] ?? 0) ^ 1])), 16 * MiB],
    [(part) => change(part, 33 * MiB, Buffer.alloc(2 * MiB)), 32 * MiB],
    [(part) => truncate(part, 30 * MiB), 16 * MiB],
    [(part) => truncate(part, 0), undefined],
    [(part) => change(part, 7, Buffer.from([(CONTENT[7] ?? 0) ^ 128])), undefined],
    [(part) => rm(part), undefined],
  ];
  for (const [damage, counts] of changes) {
    const place = await afterCut(t, 36 * MiB);
    await damage(partOf(place.root));
    const kernel = kernelOf();
    const bundle = await place.store.add(imageOf({ kernel }), contextOf());
    assert.deepEqual(
      kernel.asked.map((range) => range?.start),
      [counts],
    );
    assert.equal(sha256Of(await readFile(bundle.kernelImagePath)), key);
  }
});

test('a journal that is torn counts as far as it makes sense, and one without a beginning not at all', async (t) => {
  const changes: readonly [(text: string) => string, number | undefined][] = [
    [(text) => text.slice(0, -20), 32 * MiB],
    [(text) => `${text}41943040 0123`, 36 * MiB],
    [(text) => text.replace(/\n3355.*\n/, `\n${'\0'.repeat(80)}\n`), 36 * MiB],
    [(text) => text.replace(/ [0-9a-f]{64}\n$/, ` ${'0'.repeat(64)}\n`), 32 * MiB],
    [(text) => text.slice(text.indexOf('\n') + 1), undefined],
    [(text) => `{${text}`, undefined],
    [(text) => text.replace('memory:', 'others:'), undefined],
    [() => '', undefined],
    [(text) => '\0'.repeat(text.length), undefined],
  ];
  for (const [tear, counts] of changes) {
    const place = await afterCut(t, 36 * MiB);
    const text = await readFile(journalOf(place.root), 'utf8');
    await writeFile(journalOf(place.root), tear(text));
    assert.deepEqual(await goOn(place), [counts], tear(text).slice(-90));
  }
});

test('what a stream says of its bytes last is what the rest is asked for with, also where the journal was torn before', async (t) => {
  const place = await afterCut(t, 20 * MiB);
  await appendFile(journalOf(place.root), '41943040 0123');
  const movedOn = withValidator(imageOf({ kernel: kernelOf({ cutAt: 30 * MiB }) }), () => '"of another place"');
  await assert.rejects(place.store.add(movedOn, contextOf()), /was cut/);
  const kernel = kernelOf({ validator: '"of another place"' });
  assert.deepEqual(await goOn(place, kernel), [30 * MiB]);
  assert.equal(kernel.asked[0]?.validator, '"of another place"');
});

test('a stream that moved on to where no rests are given leaves nothing', async (t) => {
  const { store, root } = await storePlace(t);
  let said: string | undefined = VALIDATOR;
  const onChunk = (position: number): void => {
    if (position >= 18 * MiB) said = undefined;
    if (position >= 20 * MiB) throw new Error('the line was cut');
  };
  const movedOn = withValidator(imageOf({ kernel: kernelOf({ onChunk }) }), () => said);
  await assert.rejects(store.add(movedOn, contextOf()), /was cut/);
  assert.deepEqual(await readdir(join(root, 'staging')), []);
});

test('what cannot be gone on with is not kept: no validator, or nothing received', async (t) => {
  const { validator: _, ...plain } = kernelOf({ cutAt: 20 * MiB });
  for (const kernel of [plain, kernelOf({ cutAt: 0 })]) {
    const { store, root } = await storePlace(t);
    await assert.rejects(store.add(imageOf({ kernel }), contextOf()), /was cut/);
    assert.deepEqual(await readdir(join(root, 'staging')), []);
  }
});

test('bytes that turn out wrong after going on are fetched once more from the beginning, with a warning, before it is an error', async (t) => {
  const wrong = noise(40 * MiB, 9);
  const promised = { sha256: key, identity: 'an address' };
  const place = await afterCut(t, 20 * MiB, { ...promised, content: wrong });
  const good = kernelOf(promised);
  const context = contextOf();
  const bundle = await place.store.add(imageOf({ kernel: good }), context);
  assert.deepEqual(good.asked, [{ start: 20 * MiB, validator: VALIDATOR }, undefined]);
  assert.equal(sha256Of(await readFile(bundle.kernelImagePath)), key);
  assert.match(context.warnings.join('\n'), /^vmlinux SHA-256 mismatch.*fetching the whole again$/);

  const hopeless = await afterCut(t, 20 * MiB, { ...promised, content: wrong });
  const bad = kernelOf({ ...promised, content: wrong });
  await rejection(hopeless.store.add(imageOf({ kernel: bad }), contextOf()), 'STORE_DIGEST_MISMATCH');
  assert.equal(bad.asked.length, 2);
  assert.deepEqual(await readdir(join(hopeless.root, 'staging')), [], 'what was proved wrong is gone');
});

test('bytes that turn out wrong are asked for at the next place when their source has one, and the wrong one is named', async (t) => {
  const { store, root } = await storePlace(t);
  const places = ['one.example', 'two.example', 'three.example'];
  const contents = [noise(2 * MiB, 1), noise(3 * MiB, 2), CONTENT];
  const reasons: string[] = [];
  const image = imageOf({ kernel: kernelOf() });
  let turn = 0;
  const asked: (ByteRange | undefined)[] = [];
  const kernel = {
    ...image.artifacts.kernel,
    open: async (context: Parameters<typeof image.artifacts.kernel.open>[0], range?: ByteRange) => {
      asked.push(range);
      const mine = turn;
      const disown = (why: string): boolean => {
        reasons.push(why);
        turn += 1;
        return turn < places.length;
      };
      const source = places[mine] ?? '';
      return await imageOf({
        kernel: kernelOf({ content: contents[mine] ?? '', source, disown }),
      }).artifacts.kernel.open(context, range);
    },
  };
  const context = contextOf();
  const bundle = await store.add({ ...image, artifacts: { ...image.artifacts, kernel } }, context);
  assert.equal(sha256Of(await readFile(bundle.kernelImagePath)), key);
  assert.deepEqual(asked, [undefined, undefined, undefined]);
  assert.equal(reasons.length, 2);
  assert.match(context.warnings[0] ?? '', /vmlinux size mismatch.*, from one\.example\. Asking the next place/);
  assert.match(context.warnings[1] ?? '', /from two\.example/);

  const final = kernelOf({ content: noise(40 * MiB, 3), sha256: key, identity: 'x', disown: () => false });
  const other = imageOf({ bundleId: 'other', kernel: { ...final, sha256: 'ab'.repeat(32) } });
  await rejection(store.add(other, contextOf()), 'STORE_DIGEST_MISMATCH');
  assert.equal(final.asked.length, 1);
  assert.deepEqual(await readdir(join(root, 'staging')), []);
});

test('a fetch that is forced uses nothing that an earlier call left', async (t) => {
  const place = await afterCut(t, 20 * MiB);
  const kernel = kernelOf();
  await place.store.add(imageOf({ kernel }), contextOf(), { replace: true });
  assert.deepEqual(kernel.asked, [undefined]);
  assert.deepEqual(await readdir(join(place.root, 'staging')), []);
});

test('when the rest is refused for good the whole is fetched, and what is here stays until that can be had', async (t) => {
  const place = await afterCut(t, 20 * MiB);
  const refuse = new SmartVMError('there are no ranges', 'TRANSFER_REFUSED');
  const refusing = (whole: Error | undefined): Cut => {
    const kernel = kernelOf();
    return {
      ...kernel,
      onOpen: (role, context, range) => {
        void kernel.onOpen?.(role, context, range);
        if (range !== undefined) throw refuse;
        if (whole !== undefined) throw whole;
      },
    };
  };
  await rejection(place.store.add(imageOf({ kernel: refusing(refuse) }), contextOf()), 'TRANSFER_REFUSED');
  assert.equal((await stat(partOf(place.root))).size, 20 * MiB);
  const down = kernelOf({
    onOpen: () => Promise.reject(new SmartVMError('down', 'TRANSFER_NETWORK', { retryable: true })),
  });
  await rejection(place.store.add(imageOf({ kernel: down }), contextOf()), 'TRANSFER_NETWORK');
  assert.deepEqual(await goOn(place, refusing(undefined)), [20 * MiB, undefined]);
});

test('a source that goes on somewhere else than it was asked to is told, and not believed', async (t) => {
  const place = await afterCut(t, 20 * MiB);
  const image = imageOf({ kernel: kernelOf() });
  const kernel = {
    ...image.artifacts.kernel,
    open: async (context: Parameters<typeof image.artifacts.kernel.open>[0]) =>
      Object.assign(await image.artifacts.kernel.open(context), { start: 5 }),
  };
  const failure = await rejection(
    place.store.add({ ...image, artifacts: { ...image.artifacts, kernel } }, contextOf()),
    'STORE_CORRUPT',
  );
  assert.match(failure.message, /vmlinux.*from 20971520 on, and gave those from 5 on/);
  assert.deepEqual(await goOn(place), [undefined]);
});

test('a file that was all here when its process was killed is taken without asking anybody', async (t) => {
  const place = await afterCut(t, 39 * MiB);
  const handle = await open(partOf(place.root), 'a');
  await handle.write(CONTENT.subarray(39 * MiB));
  await handle.close();
  await appendFile(journalOf(place.root), `${CONTENT.byteLength} ${key}\n`);
  await chmod(partOf(place.root), 0o444);
  assert.deepEqual(await goOn(place), []);
});

test('where no digest was published the source is asked for some of the rest even when all seems to be here', async (t) => {
  const unknown = { sha256: false, identity: 'an address' } as const;
  const place = await afterCut(t, 39 * MiB, unknown);
  const name = createHash('sha256').update('an address').digest('hex');
  const handle = await open(partOf(place.root, name), 'a');
  await handle.write(CONTENT.subarray(39 * MiB));
  await handle.close();
  await appendFile(journalOf(place.root, name), `${CONTENT.byteLength} ${key}\n`);
  assert.deepEqual(await goOn(place, kernelOf(unknown)), [39 * MiB]);
});

test('two calls for one content never fetch at the same time: the second goes on where the first was cut', async (t) => {
  const { store, cacheDir } = await storePlace(t);
  let cut = (): void => undefined;
  const isCut = new Promise<void>((resolve) => (cut = resolve));
  const first = kernelOf({
    onChunk: async (position) => {
      if (position < 20 * MiB) return;
      await isCut;
      throw new Error('the line was cut');
    },
  });
  const second = kernelOf();
  const failed = assert.rejects(store.add(imageOf({ bundleId: 'one', kernel: first }), contextOf()), /was cut/);
  await until('the first', () => first.asked.length === 1);
  let isFetching = false;
  const rootfs = { content: 'another root', onOpen: () => void (isFetching = true) };
  const image = imageOf({ bundleId: 'two', kernel: second, rootfs });
  const other = new BundleStore({ cacheDir }).add(image, contextOf());
  await until('the second', () => isFetching);
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.deepEqual(second.asked, []);
  cut();
  await failed;
  assert.equal(sha256Of(await readFile((await other).kernelImagePath)), key);
  assert.deepEqual(second.asked, [{ start: 20 * MiB, validator: VALIDATOR }]);
});

test('prune leaves what can be gone on with for 30 days, and sweeps at once what cannot, unless somebody fetches it', async (t) => {
  const place = await afterCut(t, 20 * MiB);
  const staged = (): Promise<string[]> => readdir(join(place.root, 'staging'));
  const prune = async (): Promise<string[]> => {
    await place.store.prune({ limit: 2 }, contextOf());
    return (await staged()).filter((name) => name.startsWith(key));
  };
  const days = (count: number): Date => new Date(Date.now() - count * 24 * 60 * 60_000);
  await utimes(partOf(place.root), days(29), days(29));
  assert.equal((await prune()).length, 2);
  await utimes(partOf(place.root), days(31), days(31));
  const lock = join(place.root, 'locks', `content-${key}.lock`);
  assert.equal((await withLock(lock, {}, prune)).length, 2, 'whoever holds the lock may be fetching it');
  assert.deepEqual(await prune(), []);
  for (const name of [`${'ab'.repeat(32)}.part`, `${'cd'.repeat(32)}.part.journal`]) {
    await writeFile(join(place.root, 'staging', name), 'of a process that was killed');
  }
  await prune();
  assert.deepEqual(await staged(), []);
});

test('what a process that was killed left of a content, and cannot be gone on with, goes with the next call for it', async (t) => {
  const { store, root } = await storePlace(t);
  await store.add(imageOf(), contextOf());
  await writeFile(partOf(root, sha256Of('a kernel')), 'a k');
  await writeFile(partOf(root), 'of somebody else');
  await store.add(imageOf(), contextOf());
  assert.deepEqual(await readdir(join(root, 'staging')), [`${key}.part`]);
});

test('what is kept need not be fetched, and is not counted as needed', async (t) => {
  const place = await afterCut(t, 21 * MiB);
  const { bytesToFetch } = await place.store.need(imageOf({ kernel: kernelOf() }));
  assert.equal(bytesToFetch, 19 * MiB + 'a root file system'.length);
});

test('whoever listens to the progress and throws ends the call with that, at any time', async (t) => {
  const { store, root } = await storePlace(t);
  for (const at of [1, CONTENT.byteLength]) {
    const listening = {
      ...contextOf(),
      onProgress: (event: ProgressEvent) => {
        if (event.phase === 'fetch' && event.bytes >= at) throw new RangeError('of the listener');
      },
    };
    await assert.rejects(store.add(imageOf({ kernel: kernelOf() }), listening), /of the listener/);
    assert.deepEqual(await readdir(join(root, 'staging')), []);
  }
});

test('progress tells how fast it goes and where the bytes come from, and names the artifact that is tried again', async (t) => {
  const { store } = await storePlace(t);
  const context = contextOf();
  const retry = {
    phase: 'retry',
    source: 'one.example',
    message: 'busy',
    attempt: 2,
    maxAttempts: 5,
    pauseMs: 1,
  } as const;
  const kernel = kernelOf({
    source: 'one.example',
    onChunk: async (position, { onProgress }) => {
      if (position === 2 * MiB) onProgress(retry);
      await new Promise((resolve) => setTimeout(resolve, 10));
    },
  });
  await store.add(imageOf({ kernel }), context);
  const ofKernel = (event: ProgressEvent): boolean => 'fileName' in event && event.fileName === 'vmlinux';
  const told = context.events.filter(ofKernel);
  assert.deepEqual(
    told.find(({ phase }) => phase === 'retry'),
    { ...retry, role: 'kernel', fileName: 'vmlinux' },
  );
  const fetched = told.flatMap((event) => (event.phase === 'fetch' ? [event] : []));
  assert.ok(fetched.every(({ source }) => source === 'one.example'));
  const { bytesPerSecond = 0 } = fetched.at(-1) ?? {};
  assert.ok(bytesPerSecond > 0 && bytesPerSecond <= 100 * MiB, `${bytesPerSecond}`);
});
