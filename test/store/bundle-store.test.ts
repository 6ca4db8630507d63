import assert from 'node:assert/strict';
import {
  chmod,
  cp,
  lstat,
  mkdir,
  readFile,
  readdir,
  rename,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { basename, join } from 'node:path';
import test from 'node:test';
import type { ProgressEvent } from '../../src/image.ts';
import { BundleStore } from '../../src/store/bundle-store.ts';
import { contextOf, imageOf, noise, sha256Of } from '../support/images.ts';
import { rejection, storePlace, treeOf } from './store.fixture.ts';

test('making a store touches nothing, and looking into a cache that is not there makes none', async (t) => {
  const { store, dir } = await storePlace(t);
  assert.equal(await store.find(imageOf(), contextOf()), undefined);
  assert.deepEqual(await store.list(), []);
  assert.equal(await store.recall('test:image', 'x86_64', contextOf()), undefined);
  assert.deepEqual(await readdir(dir), []);
});

test('what was added is found again, whole, without opening anything', async (t) => {
  const { store } = await storePlace(t);
  let opened = 0;
  const image = imageOf({
    initrd: { content: 'an initrd' },
    onOpen: () => {
      opened++;
    },
  });
  const added = await store.add(image, contextOf());
  assert.equal(opened, 3);
  const found = await store.find(image, contextOf());
  assert.ok(found);
  assert.deepEqual({ ...found, lastAccessedAt: added.lastAccessedAt }, added);
  assert.equal(opened, 3);
  assert.equal(await readFile(found.kernelImagePath, 'utf8'), 'a kernel');
  assert.equal(await readFile(found.initrdPath ?? '', 'utf8'), 'an initrd');
  assert.equal(found.checksums.rootfsSha256, sha256Of('a root file system'));
  assert.deepEqual(found.sizes, { kernelBytes: 8, rootfsBytes: 18, initrdBytes: 9 });
  assert.equal(added.createdAt, added.lastAccessedAt);
});

test('the tree on disk is this one, name by name and mode by mode', async (t) => {
  const { store, cacheDir } = await storePlace(t);
  const image = imageOf();
  const bundle = await store.add(image, contextOf());
  await store.remember('test:image', 'x86_64', bundle);
  const tree = (await treeOf(cacheDir)).filter((line) => !line.includes('.lock'));
  const kernel = sha256Of('a kernel');
  const rootfs = sha256Of('a root file system');
  const dirName = 'test-image-533caad1eafb704d';
  assert.equal(basename(bundle.bundleDir), dirName);
  const [first = '', second = ''] = [kernel, rootfs].sort();
  assert.deepEqual(tree, [
    'd 700 v1',
    'f 600 v1/CACHEDIR.TAG',
    'd 700 v1/blobs',
    'd 700 v1/blobs/sha256',
    `f 444 v1/blobs/sha256/${first}`,
    `f 444 v1/blobs/sha256/${second}`,
    'd 700 v1/bundles',
    `d 700 v1/bundles/${dirName}`,
    `f 444 v1/bundles/${dirName}/manifest.json`,
    `f 444 v1/bundles/${dirName}/rootfs.squashfs`,
    `f 444 v1/bundles/${dirName}/vmlinux`,
    'd 700 v1/locks',
    'f 600 v1/owner.json',
    'd 700 v1/quarantine',
    'd 700 v1/receipts',
    'd 700 v1/remembered',
    `f 600 v1/remembered/${sha256Of('x86_64\ntest:image').slice(0, 16)}.json`,
    'd 700 v1/staging',
    'd 700 v1/stamps',
    `f 600 v1/stamps/${first}.json`,
    `f 600 v1/stamps/${second}.json`,
    'd 700 v1/used',
    `f 600 v1/used/${dirName}`,
  ]);
});

test('the record is JSON with two spaces and a final newline, with relative names, so that a moved cache still works', async (t) => {
  const { store, dir, cacheDir } = await storePlace(t);
  let opened = 0;
  const image = imageOf({
    onOpen: () => {
      opened++;
    },
  });
  const bundle = await store.add(image, contextOf());
  const text = await readFile(join(bundle.bundleDir, 'manifest.json'), 'utf8');
  assert.equal(text, `${JSON.stringify(JSON.parse(text), null, 2)}\n`);
  assert.ok(!text.includes(dir));
  const moved = join(dir, 'moved');
  await rename(cacheDir, moved);
  const found = await new BundleStore({ cacheDir: moved }).find(image, contextOf());
  assert.equal(found?.kernelImagePath, join(moved, 'v1', 'bundles', basename(bundle.bundleDir), 'vmlinux'));
  assert.equal(opened, 2);
});

test('anything that is handed out and differs is another bundle: arguments, type, digest, size, name, identity', async (t) => {
  const { store } = await storePlace(t);
  const image = imageOf({ bundleId: 'same' });
  await store.add(image, contextOf());
  const others = [
    imageOf({ bundleId: 'same', facts: { bootArgs: 'init=/bin/sh' } }),
    imageOf({ bundleId: 'same', facts: { rootfsIsReadOnly: false } }),
    imageOf({ bundleId: 'same', facts: { arch: 'aarch64' } }),
    imageOf({ bundleId: 'same', facts: { firecrackerVersion: 'v1.7.0' } }),
    imageOf({ bundleId: 'same', facts: { trust: 'first-use' } }),
    imageOf({ bundleId: 'same', kernel: { content: 'another kernel' } }),
    imageOf({ bundleId: 'same', kernel: { content: 'a kernel', sha256: false } }),
    imageOf({ bundleId: 'same', kernel: { content: 'a kernel', bytes: false } }),
    imageOf({ bundleId: 'same', kernel: { content: 'a kernel', fileName: 'linux' } }),
    imageOf({ bundleId: 'same', kernel: { content: 'a kernel', identity: 'elsewhere' } }),
    imageOf({ bundleId: 'same', initrd: { content: 'an initrd' } }),
  ];
  for (const other of others) assert.equal(await store.find(other, contextOf()), undefined);
  const upper = imageOf({
    bundleId: 'same',
    kernel: { content: 'a kernel', sha256: sha256Of('a kernel').toUpperCase() },
  });
  assert.ok(await store.find(upper, contextOf()), 'the case of a digest does not matter');
  const reworded = await store.find(imageOf({ bundleId: 'same', facts: { reference: 'test:other' } }), contextOf());
  assert.equal(reworded?.reference, 'test:other', 'the reference is the one of this call');
});

test('bad names of a source are refused before anything is made: traversal, the record, two of one name, no digest, no size', async (t) => {
  const { store, dir } = await storePlace(t);
  const bad = [
    imageOf({ bundleId: '..' }),
    imageOf({ bundleId: '.hidden' }),
    imageOf({ bundleId: 'a/b' }),
    imageOf({ bundleId: '' }),
    imageOf({ bundleId: 'x'.repeat(129) }),
    imageOf({ kernel: { content: 'k', fileName: '../escape' } }),
    imageOf({ kernel: { content: 'k', sha256: '../../../escape' } }),
    imageOf({ kernel: { content: 'k', sha256: 'ab'.repeat(31) } }),
    imageOf({ kernel: { content: 'k', bytes: -1 } }),
    imageOf({ kernel: { content: 'k', bytes: 1e300 } }),
    imageOf({ kernel: { content: 'k', fileName: 'MANIFEST.json' } }),
    imageOf({ kernel: { content: 'k', fileName: 'image' }, rootfs: { content: 'r', fileName: 'IMAGE' } }),
  ];
  for (const image of bad) await rejection(store.add(image, contextOf()), 'STORE_CORRUPT');
  assert.deepEqual(await readdir(dir), []);
});

test('a wrong digest names the file and both digests, and leaves nothing behind', async (t) => {
  const { store, root } = await storePlace(t);
  const failure = await rejection(
    store.add(imageOf({ rootfs: { content: 'a root file system', sha256: 'ab'.repeat(32) } }), contextOf()),
    'STORE_DIGEST_MISMATCH',
  );
  assert.match(failure.message, /rootfs\.squashfs/);
  assert.ok(failure.message.includes('ab'.repeat(32)) && failure.message.includes(sha256Of('a root file system')));
  assert.deepEqual(await readdir(join(root, 'staging')), []);
  assert.deepEqual(await readdir(join(root, 'bundles')), []);
});

test('too few and too many bytes are errors that name the file and both sizes', async (t) => {
  const { store, root } = await storePlace(t);
  for (const bytes of [7, 9, 0]) {
    const image = imageOf({ kernel: { content: 'a kernel', bytes, sha256: false } });
    const failure = await rejection(store.add(image, contextOf()), 'STORE_SIZE_MISMATCH');
    assert.match(failure.message, new RegExp(`vmlinux.*expected ${bytes} bytes, got ${bytes < 8 ? 'more than' : '8'}`));
  }
  assert.deepEqual(await readdir(join(root, 'staging')), []);
});

test('an endless stream is ended at the promised size, and no more than that reaches the disk', async (t) => {
  const { store } = await storePlace(t);
  let given = 0;
  const image = imageOf({ kernel: { content: Buffer.alloc(64 * 1024), bytes: 64 * 1024, sha256: false } });
  const endless = {
    ...image.artifacts.kernel,
    open: async () =>
      (async function* () {
        for (;;) {
          given += 4096;
          yield Buffer.alloc(4096);
        }
      })(),
  };
  await rejection(
    store.add({ ...image, artifacts: { ...image.artifacts, kernel: endless } }, contextOf()),
    'STORE_SIZE_MISMATCH',
  );
  assert.equal(given, 68 * 1024);
});

test('a stream that fails half-way is told as it failed, ends the others, and leaves nothing behind', async (t) => {
  const { store, root } = await storePlace(t);
  const cut = new Error('the line was cut');
  let ended: unknown;
  let began = (): void => undefined;
  const rootIsOpened = new Promise<void>((resolve) => (began = resolve));
  const image = imageOf({
    kernel: { content: 'a kernel', failure: cut, onChunk: () => rootIsOpened },
    rootfs: {
      content: 'r',
      onOpen: (_role, { signal }) =>
        new Promise((_, reject) => {
          began();
          signal?.addEventListener('abort', () => {
            ended = signal.reason;
            reject(new Error('told to stop'));
          });
        }),
    },
  });
  await assert.rejects(store.add(image, contextOf()), (error) => error === cut);
  assert.equal(ended, cut);
  assert.deepEqual(await readdir(join(root, 'staging')), []);
  assert.deepEqual(await readdir(join(root, 'blobs/sha256')), []);
});

test('an aborted call rejects with the reason of the signal and leaves nothing behind', async (t) => {
  const { store, root } = await storePlace(t);
  const stop = new AbortController();
  const image = imageOf({
    rootfs: {
      content: 'r'.repeat(10),
      chunkBytes: 1,
      onChunk: (at) => {
        if (at === 5) stop.abort();
      },
    },
  });
  await assert.rejects(store.add(image, contextOf(stop.signal)), { name: 'AbortError' });
  assert.deepEqual(await readdir(join(root, 'staging')), []);
  assert.deepEqual(await readdir(join(root, 'bundles')), []);
  assert.ok(await store.add(imageOf({ rootfs: { content: 'r'.repeat(10) } }), contextOf()));
});

test('a stream is stored as it was given, in however small or large pieces that was', async (t) => {
  const { store } = await storePlace(t);
  const content = noise(3_000_001);
  for (const chunkBytes of [17, 4095, 4_000_000]) {
    const kernel = { content, chunkBytes, sha256: false, bytes: false, identity: `in pieces of ${chunkBytes}` };
    const bundle = await store.add(imageOf({ bundleId: `by-${chunkBytes}`, kernel }), contextOf(), { replace: true });
    assert.ok(content.equals(await readFile(bundle.kernelImagePath)), `in pieces of ${chunkBytes}`);
    assert.equal(bundle.checksums.kernelSha256, sha256Of(content));
  }
});

test('a stream that is faster than the disk waits: no more than a few MiB of it are in memory', async (t) => {
  const { store } = await storePlace(t);
  let [written, most] = [0, 0];
  const onChunk = (position: number): void => {
    most = Math.max(most, position - written);
  };
  const context = {
    ...contextOf(),
    onProgress: (event: ProgressEvent) => {
      if (event.phase === 'fetch' && event.role === 'kernel') written = event.bytes;
    },
  };
  await store.add(imageOf({ kernel: { content: noise(32 * 1024 * 1024), onChunk } }), context);
  assert.ok(most > 0 && most <= 6 * 1024 * 1024, `${most} bytes were given and not written`);
});

test('progress counts up to the size of each file', async (t) => {
  const { store } = await storePlace(t);
  const context = contextOf();
  await store.add(imageOf({ rootfs: { content: Buffer.alloc(3_500_000, 7) } }), context);
  const counts = context.events.flatMap((event) =>
    event.phase === 'fetch' && event.role === 'rootfs' ? [event.bytes] : [],
  );
  assert.deepEqual(
    counts,
    [...counts].sort((a, b) => a - b),
  );
  assert.equal(counts.at(-1), 3_500_000);
  assert.ok(counts.length >= 3);
});

test('content that a bundle already holds is linked, by its digest or by what its source calls it, and not fetched', async (t) => {
  const { store, root } = await storePlace(t);
  const opened: string[] = [];
  const onOpen = (role: string): void => void opened.push(role);
  const first = await store.add(imageOf({ bundleId: 'one', onOpen }), contextOf());
  const second = await store.add(
    imageOf({
      bundleId: 'two',
      onOpen,
      kernel: { content: 'a kernel', identity: 'a mirror' },
      rootfs: { content: 'a root file system', sha256: false, bytes: false },
    }),
    contextOf(),
  );
  assert.deepEqual(opened.sort(), ['kernel', 'rootfs']);
  for (const [a, b] of [
    [first.kernelImagePath, second.kernelImagePath],
    [first.rootfsPath, second.rootfsPath],
  ] as const) {
    assert.equal((await stat(a)).ino, (await stat(b)).ino);
    assert.equal((await stat(a)).nlink, 3);
  }
  assert.equal((await readdir(join(root, 'blobs/sha256'))).length, 2);
});

test('one content under two names in one bundle is one file', async (t) => {
  const { store, root } = await storePlace(t);
  const image = imageOf({ kernel: { content: 'same' }, rootfs: { content: 'same' }, initrd: { content: 'same' } });
  const bundle = await store.add(image, contextOf());
  assert.equal((await stat(bundle.kernelImagePath)).nlink, 4);
  assert.equal((await readdir(join(root, 'blobs/sha256'))).length, 1);
});

test('neither a new neighbour, nor a failed one, nor a removed one, costs a bundle another hash', async (t) => {
  const { store, root } = await storePlace(t);
  const image = imageOf({ bundleId: 'settled' });
  const bundle = await store.add(image, contextOf());
  const { kernelSha256, rootfsSha256 } = bundle.checksums;
  const hashedAt = async (): Promise<readonly string[]> => {
    assert.ok(await store.find(image, contextOf()));
    const stamps = [kernelSha256, rootfsSha256].map((sha256) =>
      readFile(join(root, 'stamps', `${sha256}.json`), 'utf8'),
    );
    return (await Promise.all(stamps)).map((text) => (JSON.parse(text) as { verifiedAt: string }).verifiedAt);
  };
  const first = await hashedAt();
  const still = async (what: string): Promise<void> => assert.deepEqual(await hashedAt(), first, what);
  await new Promise((resolve) => setTimeout(resolve, 5));
  await still('a hit');
  const neighbour = await store.add(imageOf({ bundleId: 'neighbour' }), contextOf());
  await still('a neighbour came');
  const failing = imageOf({ bundleId: 'failed', rootfs: { content: 'new', failure: new Error('cut') } });
  await assert.rejects(store.add(failing, contextOf()));
  await still('a neighbour failed');
  await store.remove(neighbour, contextOf());
  await still('a neighbour was removed');
  await store.add(imageOf({ bundleId: 'next' }), contextOf());
  const report = await store.prune({ limit: 1, keepBundleDir: bundle.bundleDir }, contextOf());
  assert.equal(report.removed.length, 1);
  await still('a neighbour was evicted');
  await chmod(bundle.kernelImagePath, 0o444);
  assert.notDeepEqual(await hashedAt(), first, 'and this is how a hash would have shown');
});

test('a neighbour that goes does not vouch for bytes that changed before', async (t) => {
  const { store } = await storePlace(t);
  const image = imageOf({ bundleId: 'stays' });
  const bundle = await store.add(image, contextOf());
  const neighbour = await store.add(imageOf({ bundleId: 'goes' }), contextOf());
  await chmod(bundle.kernelImagePath, 0o644);
  await writeFile(bundle.kernelImagePath, 'A kernel');
  await store.remove(neighbour, contextOf());
  assert.equal(await store.find(image, contextOf()), undefined);
});

test('a change to any file is noticed, whatever was done to hide it, and the bundle is made anew with a warning', async (t) => {
  const changes: Record<string, (path: string) => Promise<void>> = {
    'one byte, old mtime put back': async (path) => {
      const { atime, mtime } = await stat(path);
      await chmod(path, 0o644);
      await writeFile(path, 'A kernel');
      await utimes(path, atime, mtime);
      await chmod(path, 0o444);
    },
    cut: async (path) => {
      await chmod(path, 0o644);
      await writeFile(path, 'a ker');
    },
    emptied: async (path) => {
      await chmod(path, 0o644);
      await writeFile(path, '');
    },
    'another file': async (path) => {
      await rm(path);
      await writeFile(path, 'B kernel');
    },
    gone: async (path) => rm(path),
    'a directory': async (path) => {
      await rm(path);
      await mkdir(path);
    },
    'a symbolic link to the right bytes': async (path) => {
      await rename(path, join(path, '..', 'realfile'));
      // As long as the kernel: its size alone does not give it away.
      await symlink('realfile', path);
    },
  };
  for (const [what, change] of Object.entries(changes)) {
    const { store, root } = await storePlace(t);
    const image = imageOf();
    const bundle = await store.add(image, contextOf());
    await change(bundle.kernelImagePath);
    assert.equal(await store.find(image, contextOf()), undefined, what);
    assert.deepEqual(await readdir(join(root, 'bundles')), [basename(bundle.bundleDir)], 'looking moves nothing');
    assert.equal((await store.verify(bundle, contextOf())).length, 1, what);
    const context = contextOf();
    const mended = await store.add(image, context);
    assert.equal(await readFile(mended.kernelImagePath, 'utf8'), 'a kernel', what);
    assert.equal(context.warnings.length, 1);
    assert.match(context.warnings[0] ?? '', /damaged/);
    assert.equal((await readdir(join(root, 'quarantine'))).length, 1);
    assert.deepEqual(await store.verify(mended, contextOf()), [], what);
  }
});

test('a bundle folder that was made a symbolic link, or a file, is not handed out and not listed, and is made anew', async (t) => {
  for (const kind of ['link', 'file']) {
    const { store, dir } = await storePlace(t);
    const { bundleDir } = await store.add(imageOf(), contextOf());
    const outside = join(dir, basename(bundleDir));
    await rename(bundleDir, outside);
    await (kind === 'link' ? symlink(outside, bundleDir) : writeFile(bundleDir, 'x'));
    assert.equal(await store.find(imageOf(), contextOf()), undefined);
    assert.deepEqual(await store.list(), []);
    const mended = await store.add(imageOf(), contextOf());
    assert.ok((await lstat(mended.bundleDir)).isDirectory());
    assert.equal((await readdir(outside)).length, 3, 'what it pointed at is left alone');
  }
});

test('an aborted check rejects with the reason of the signal, whatever that is', async (t) => {
  const { store } = await storePlace(t);
  const bundle = await store.add(imageOf(), contextOf());
  const reason = Object.assign(new Error('enough'), { name: 'AbortError', code: 'ABORT_ERR' });
  await assert.rejects(store.verify(bundle, contextOf(AbortSignal.abort(reason))), (error) => error === reason);
});

test('a bundle whose record is damaged is made anew, and is not listed', async (t) => {
  const damages: Record<string, (path: string) => Promise<void>> = {
    empty: (path) => writeFile(path, ''),
    garbage: (path) => writeFile(path, '{"schemaVersion":1'),
    null: (path) => writeFile(path, 'null'),
    newer: async (path) =>
      writeFile(path, (await readFile(path, 'utf8')).replace('"schemaVersion": 1', '"schemaVersion": 2')),
    'other arguments': async (path) =>
      writeFile(path, (await readFile(path, 'utf8')).replace('panic=1', 'panic=0 init=/bin/sh')),
    'a path': async (path) => writeFile(path, (await readFile(path, 'utf8')).replace('"vmlinux"', '"../../x"')),
    gone: (path) => rm(path),
    'a directory': async (path) => {
      await rm(path);
      await mkdir(path);
    },
    'a symbolic link': async (path) => {
      await rename(path, `${path}.real`);
      await symlink(`${path}.real`, path);
    },
  };
  for (const [what, damage] of Object.entries(damages)) {
    const { store } = await storePlace(t);
    const image = imageOf();
    const { bundleDir } = await store.add(image, contextOf());
    const path = join(bundleDir, 'manifest.json');
    if (what !== 'gone') await chmod(path, 0o644);
    await damage(path);
    assert.equal(await store.find(image, contextOf()), undefined, what);
    assert.deepEqual(await store.list(), [], what);
    const context = contextOf();
    const mended = await store.add(image, context);
    assert.deepEqual(await store.verify(mended, contextOf()), [], what);
    assert.equal((await store.list()).length, 1);
  }
});

test('a missing, damaged, foreign or future stamp costs a hash and is renewed; it is never an error and never believed', async (t) => {
  const { store, root } = await storePlace(t);
  const image = imageOf();
  const bundle = await store.add(image, contextOf());
  const stamp = join(root, 'stamps', `${bundle.checksums.kernelSha256}.json`);
  const good = await readFile(stamp, 'utf8');
  const verifiedAt = (JSON.parse(good) as { verifiedAt: string }).verifiedAt;
  const stamps = [
    '',
    '{',
    'null',
    '{}',
    good.replace(verifiedAt, '2999-01-01T00:00:00.000Z'),
    good.replace(verifiedAt, 'x'),
  ];
  for (const text of stamps) {
    await rm(stamp);
    await writeFile(stamp, text);
    assert.ok(await store.find(image, contextOf()), text);
    assert.notEqual(await readFile(stamp, 'utf8'), text);
  }
  await rm(stamp);
  await symlink('/dev/zero', stamp);
  assert.ok(await store.find(image, contextOf()));
  assert.ok((await lstat(stamp)).isFile());
  await rm(stamp);
  await mkdir(stamp);
  assert.ok(await store.find(image, contextOf()), 'a stamp that cannot be renewed does not matter');
});

test('a bundle that was last hashed longer ago than the scrub interval is hashed again, which finds what the disk did', async (t) => {
  const { store, cacheDir, root } = await storePlace(t);
  const image = imageOf();
  const bundle = await store.add(image, contextOf());
  // Bytes that changed beneath the file system: the stamp is made to hold for a file that is another.
  const stamp = join(root, 'stamps', `${bundle.checksums.kernelSha256}.json`);
  await chmod(bundle.kernelImagePath, 0o644);
  await writeFile(bundle.kernelImagePath, 'A kernel');
  await chmod(bundle.kernelImagePath, 0o444);
  const { size, ino, mtimeNs, ctimeNs } = await lstat(bundle.kernelImagePath, { bigint: true });
  const forged = (ageMs: number): string =>
    JSON.stringify({
      size: String(size),
      ino: String(ino),
      mtimeNs: String(mtimeNs),
      ctimeNs: String(ctimeNs),
      verifiedAt: new Date(Date.now() - ageMs).toISOString(),
    });
  const day = 24 * 60 * 60_000;
  await writeFile(stamp, forged(6.9 * day));
  assert.ok(await store.find(image, contextOf()), 'within seven days the stamp is believed');
  assert.equal(await new BundleStore({ cacheDir, scrubAfterMs: day }).find(image, contextOf()), undefined);
  await writeFile(stamp, forged(7.1 * day));
  assert.equal(await store.find(image, contextOf()), undefined);
  await writeFile(stamp, forged(0));
  assert.match((await store.verify(bundle, contextOf())).join(), /vmlinux has SHA-256/, 'verify believes no stamp');
});

test('told to verify always, a hit believes no stamp, and what is not as it was is made anew', async (t) => {
  const { store, cacheDir, root } = await storePlace(t);
  const bundle = await store.add(imageOf(), contextOf());
  await chmod(bundle.rootfsPath, 0o644);
  await writeFile(bundle.rootfsPath, 'A root file system');
  const { size, ino, mtimeNs, ctimeNs } = await lstat(bundle.rootfsPath, { bigint: true });
  const verifiedAt = new Date();
  const forged = { size: `${size}`, ino: `${ino}`, mtimeNs: `${mtimeNs}`, ctimeNs: `${ctimeNs}`, verifiedAt };
  await writeFile(join(root, 'stamps', `${bundle.checksums.rootfsSha256}.json`), JSON.stringify(forged));
  assert.ok(await store.find(imageOf(), contextOf()), 'else a stamp is believed');
  const strict = new BundleStore({ cacheDir, verify: 'always' });
  assert.equal(await strict.find(imageOf(), contextOf()), undefined);
  const mended = await strict.add(imageOf(), contextOf());
  assert.equal(await readFile(mended.rootfsPath, 'utf8'), 'a root file system');
  assert.ok(await strict.find(imageOf(), contextOf()));
});

test('keeps the good bundle when a replacement fails; a replacement that succeeds is new, and is one bundle', async (t) => {
  const { store, root } = await storePlace(t);
  const good = await store.add(imageOf(), contextOf());
  const failing = imageOf({ onOpen: () => Promise.reject(new Error('down')) });
  await assert.rejects(store.add(failing, contextOf(), { replace: true }), /down/);
  const still = await store.find(imageOf(), contextOf());
  assert.equal(still?.createdAt, good.createdAt);
  assert.deepEqual(await readdir(join(root, 'staging')), []);
  let opened = 0;
  await new Promise((resolve) => setTimeout(resolve, 5));
  const renewed = await store.add(
    imageOf({
      onOpen: () => {
        opened++;
      },
    }),
    contextOf(),
    { replace: true },
  );
  assert.equal(opened, 2, 'everything is fetched anew');
  assert.notEqual(renewed.createdAt, good.createdAt);
  assert.equal((await store.list()).length, 1);
  assert.deepEqual(await readdir(join(root, 'staging')), []);
});

test('a replacement mends a content that went bad beneath a stamp that holds, for all bundles that share it', async (t) => {
  const { store, root } = await storePlace(t);
  const image = imageOf();
  const other = imageOf({ bundleId: 'other' });
  const bundle = await store.add(image, contextOf());
  await store.add(other, contextOf());
  await chmod(bundle.kernelImagePath, 0o644);
  await writeFile(bundle.kernelImagePath, 'A kernel');
  const { size, ino, mtimeNs, ctimeNs } = await lstat(bundle.kernelImagePath, { bigint: true });
  const forged = {
    size: `${size}`,
    ino: `${ino}`,
    mtimeNs: `${mtimeNs}`,
    ctimeNs: `${ctimeNs}`,
    verifiedAt: new Date(),
  };
  await writeFile(join(root, 'stamps', `${bundle.checksums.kernelSha256}.json`), JSON.stringify(forged));
  const renewed = await store.add(image, contextOf(), { replace: true });
  assert.equal(await readFile(renewed.kernelImagePath, 'utf8'), 'a kernel');
  assert.equal(await store.find(other, contextOf()), undefined);
  assert.equal(await readFile((await store.add(other, contextOf())).kernelImagePath, 'utf8'), 'a kernel');
  assert.ok(await store.find(image, contextOf()));
});

test('what is remembered for a reference is found without its source, until the bundle is gone or damaged', async (t) => {
  const { store, root, dir } = await storePlace(t);
  const bundle = await store.add(imageOf(), contextOf());
  await store.remember('latest', 'x86_64', bundle);
  const file = join(root, 'remembered', (await readdir(join(root, 'remembered')))[0] ?? '');
  const { ino, mtimeNs } = await lstat(file, { bigint: true });
  await store.remember('latest', 'x86_64', bundle);
  const after = await lstat(file, { bigint: true });
  assert.equal(after.ino, ino, 'written only when it says something new');
  assert.ok(after.mtimeNs >= mtimeNs - 1_000_000n, 'and got a new time');
  assert.equal((await store.recall('latest', 'x86_64', contextOf()))?.bundle.bundleDir, bundle.bundleDir);
  assert.equal(await store.recall('latest', 'aarch64', contextOf()), undefined);
  assert.equal(await store.recall('lts', 'x86_64', contextOf()), undefined);
  const text = await readFile(file, 'utf8');
  for (const bad of [
    '',
    'null',
    '[]',
    text.replace(basename(bundle.bundleDir), '..'),
    text.replace(basename(bundle.bundleDir), '/etc'),
  ]) {
    await writeFile(file, bad);
    assert.equal(await store.recall('latest', 'x86_64', contextOf()), undefined);
  }
  const outside = join(dir, 'outside', basename(bundle.bundleDir));
  await cp(bundle.bundleDir, outside, { recursive: true });
  await writeFile(file, text.replace(basename(bundle.bundleDir), `../../../outside/${basename(outside)}`));
  assert.equal(await store.recall('latest', 'x86_64', contextOf()), undefined, 'nothing outside is handed out');
  await writeFile(file, text);
  await rm(bundle.rootfsPath);
  assert.equal(await store.recall('latest', 'x86_64', contextOf()), undefined);
});

test('remembering never fails, whatever is in the way', async (t) => {
  const { store, root } = await storePlace(t);
  const bundle = await store.add(imageOf(), contextOf());
  await store.remember('latest', 'x86_64', bundle);
  const file = join(root, 'remembered', (await readdir(join(root, 'remembered')))[0] ?? '');
  await rm(file);
  await mkdir(file);
  await store.remember('latest', 'x86_64', bundle);
});

test('removes a bundle with all it had, and what others share stays', async (t) => {
  const { store, root } = await storePlace(t);
  const bundle = await store.add(imageOf({ bundleId: 'one' }), contextOf());
  const other = await store.add(imageOf({ bundleId: 'two', rootfs: { content: 'another root' } }), contextOf());
  await store.remove(bundle, contextOf());
  assert.deepEqual(
    (await store.list()).map(({ bundleId }) => bundleId),
    ['two'],
  );
  assert.deepEqual(await readdir(join(root, 'used')), [basename(other.bundleDir)]);
  const left = [other.checksums.kernelSha256, other.checksums.rootfsSha256].sort();
  assert.deepEqual((await readdir(join(root, 'blobs/sha256'))).sort(), left);
  assert.deepEqual(
    (await readdir(join(root, 'stamps'))).sort(),
    left.map((sha256) => `${sha256}.json`),
  );
  assert.deepEqual(await readdir(join(root, 'staging')), []);
  assert.deepEqual(await store.verify(other, contextOf()), []);
  await rejection(store.remove(bundle, contextOf()), 'BASE_IMAGE_NOT_CACHED');
});

test('refuses to remove a folder that is not a bundle of this cache', async (t) => {
  const { store, dir } = await storePlace(t);
  const bundle = await store.add(imageOf(), contextOf());
  const elsewhere = join(dir, basename(bundle.bundleDir));
  await mkdir(elsewhere);
  await writeFile(join(elsewhere, 'thesis.txt'), 'mine');
  for (const bundleDir of [elsewhere, dir, join(bundle.bundleDir, '..'), `${bundle.bundleDir}/../..`]) {
    await rejection(store.remove({ ...bundle, bundleDir }, contextOf()), 'BASE_IMAGE_NOT_CACHED');
  }
  assert.equal(await readFile(join(elsewhere, 'thesis.txt'), 'utf8'), 'mine');
});

test('foreign things beside the bundles disturb nobody and are left alone', async (t) => {
  const { store, root } = await storePlace(t);
  await store.add(imageOf(), contextOf());
  const foreign = join(root, 'bundles', 'my-extension');
  await mkdir(foreign);
  await writeFile(join(foreign, 'manifest.json'), '{"name":"an extension","schemaVersion":1}');
  await writeFile(join(root, 'bundles', '.DS_Store'), 'x');
  assert.equal((await store.list()).length, 1);
  await store.add(imageOf({ bundleId: 'next' }), contextOf());
  const report = await store.prune({ limit: 1 }, contextOf());
  assert.equal(report.removed.length, 1);
  assert.ok((await readdir(join(root, 'bundles'))).includes('my-extension'));
  assert.ok((await readdir(join(root, 'bundles'))).includes('.DS_Store'));
});
