import assert from 'node:assert/strict';
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { BaseImageManager, SmartVMError, type ArtifactManifest } from 'smartvm';
import { createSource } from '../../src/sources/hosted-manifest.ts';
import { FACTS, KERNEL, ROOTFS, digestOf, manifestWorld, startWeb, worldOf } from '../contract/contract.fixture.ts';
import { contextOf } from '../support/images.ts';
import { startObjectServer, type ObjectBehaviour, type ObjectServer } from '../support/object-server.ts';
import { rejection } from '../support/rejection.ts';
import { FORMATS, SUFFIX, allOf, bomb, pack } from '../unpack/unpack.fixture.ts';

const PLAIN = Buffer.concat([
  ROOTFS,
  Buffer.alloc(300_000),
  Buffer.from(Array.from({ length: 90_000 }, (_, i) => (i * i) >> 3)),
]);
const PACKED = { zstd: pack('zstd', PLAIN), gzip: pack('gzip', PLAIN), xz: pack('xz', PLAIN) };

type Format = keyof typeof PACKED;

/** What a manifest says of `PLAIN` as it is packed at this address. */
function entryOf(url: string, format: Format, fields: Partial<ArtifactManifest> = {}): ArtifactManifest {
  const packed = PACKED[format];
  const compressed = { format, sha256: digestOf(packed), sizeBytes: packed.byteLength };
  return { url, sha256: digestOf(PLAIN), sizeBytes: PLAIN.byteLength, compressed, ...fields };
}

async function serving(
  t: TestContext,
  content: Uint8Array,
  behaviour: Partial<ObjectBehaviour> = {},
): Promise<ObjectServer> {
  const server = await startObjectServer(content, behaviour);
  t.after(() => server.close());
  return server;
}

for (const format of FORMATS) {
  const name = `rootfs.ext4${SUFFIX[format]}`;

  test(`${format}: a compressed artifact is stored plain, under its name without the suffix, and fetched once`, async (t) => {
    const web = await startWeb(t, { [`/${name}`]: PACKED[format] });
    const { images, ensure } = await manifestWorld(t);
    const rootfs = entryOf(`${web.origin}/${name}`, format);
    const bundle = await ensure({ rootfs });
    assert.equal(bundle.rootfsPath, join(bundle.bundleDir, 'rootfs.ext4'));
    assert.ok((await readFile(bundle.rootfsPath)).equals(PLAIN));
    assert.equal(bundle.checksums.rootfsSha256, digestOf(PLAIN));
    assert.equal(bundle.sizes.rootfsBytes, PLAIN.byteLength);
    assert.ok(bundle.source.type === 'hosted-manifest' && bundle.source.rootfsUrl === rootfs.url);
    assert.equal((await ensure({ rootfs })).bundleDir, bundle.bundleDir);
    assert.deepEqual(web.requests, [`/${name}`]);
    assert.deepEqual(await images.verifyBaseImages(), { ok: true, bundles: (await images.verifyBaseImages()).bundles });
  });

  test(`${format}: a compressed file on this disk needs no digest, and is another content than the same file as it is`, async (t) => {
    const { folder, ensure } = await manifestWorld(t);
    await writeFile(join(folder, name), PACKED[format]);
    const compressed = { format };
    const plain = await ensure({ rootfs: { path: name, sizeBytes: PLAIN.byteLength, compressed } });
    assert.equal(plain.trust, 'first-use');
    assert.ok((await readFile(plain.rootfsPath)).equals(PLAIN));
    const asItIs = await ensure({ rootfs: { path: name } });
    assert.equal(asItIs.rootfsPath, join(asItIs.bundleDir, name));
    assert.ok((await readFile(asItIs.rootfsPath)).equals(PACKED[format]));
  });

  for (const [what, fields, code, message] of [
    [
      'the compressed digest is wrong and the plain one right',
      { compressed: { format, sha256: '1'.repeat(64) } },
      'STORE_DIGEST_MISMATCH',
      /as it is compressed, SHA-256 mismatch: expected 1{64}/,
    ],
    [
      'the plain digest is wrong and the compressed one right',
      { sha256: '2'.repeat(64) },
      'STORE_DIGEST_MISMATCH',
      /rootfs\.ext4 SHA-256 mismatch: expected 2{64}/,
    ],
    [
      'it unpacks to more than sizeBytes',
      { sizeBytes: PLAIN.byteLength - 1 },
      'TRANSFER_TOO_LARGE',
      /390095 were promised/,
    ],
    [
      'it unpacks to less than sizeBytes',
      { sizeBytes: PLAIN.byteLength + 1 },
      'TRANSFER_TRUNCATED',
      /390097 were promised/,
    ],
  ] as const) {
    test(`${format}: nothing is stored when ${what}`, async (t) => {
      const web = await startWeb(t, { [`/${name}`]: PACKED[format] });
      const { images, ensure } = await manifestWorld(t);
      const rootfs = { ...entryOf(`${web.origin}/${name}`, format), ...fields };
      await refusal(images, ensure({ rootfs }), code, message);
    });
  }

  test(`${format}: a bomb ends at sizeBytes, and nothing is stored`, async (t) => {
    const packed = bomb(format);
    const web = await startWeb(t, { [`/${name}`]: packed });
    const { images, ensure } = await manifestWorld(t);
    const rootfs = {
      ...entryOf(`${web.origin}/${name}`, format),
      sizeBytes: 1024 * 1024,
      compressed: { format, sha256: digestOf(packed), sizeBytes: packed.byteLength },
    };
    const rssBefore = process.memoryUsage.rss();
    await refusal(images, ensure({ rootfs }), 'TRANSFER_TOO_LARGE', /unpacks to 1\d{6} bytes or more, and 1048576/);
    assert.ok(process.memoryUsage.rss() - rssBefore < 128 * 1024 * 1024);
  });

  test(`${format}: damaged and cut files that were published like that are told as such`, async (t) => {
    const damaged = Buffer.from(PACKED[format]);
    damaged.fill(0xff, 90, 190);
    for (const content of [damaged, PACKED[format].subarray(0, -5)]) {
      const web = await startWeb(t, { [`/${name}`]: content });
      const { images, ensure } = await manifestWorld(t);
      const rootfs = {
        ...entryOf(`${web.origin}/${name}`, format),
        compressed: { format, sha256: digestOf(content), sizeBytes: content.byteLength },
      };
      const message = new RegExp(`Failed to unpack ${web.origin}/${name} \\(${format}\\): `);
      await refusal(images, ensure({ rootfs }), 'TRANSFER_REFUSED', message);
    }
  });

  test(`${format}: a connection that breaks is gone on with where it was`, async (t) => {
    const packed = PACKED[format];
    const cutAfter = Math.ceil(packed.byteLength / 3);
    const server = await serving(t, packed, { cutAfter });
    const { ensure } = await manifestWorld(t);
    const bundle = await ensure({ rootfs: entryOf(`${server.origin}/${name}`, format) });
    assert.ok((await readFile(bundle.rootfsPath)).equals(PLAIN));
    assert.deepEqual(server.asked, ['', `bytes=${cutAfter}- "v1"`, `bytes=${2 * cutAfter}- "v1"`]);
  });

  test(`${format}: what was locked is fetched and unpacked again elsewhere, and anything else there is refused`, async (t) => {
    const web = await startWeb(t, { '/vmlinux': KERNEL, [`/${name}`]: PACKED[format] });
    const { folder } = await worldOf(t);
    const kernel = { url: `${web.origin}/vmlinux`, sha256: digestOf(KERNEL) };
    const rootfs = entryOf(`${web.origin}/${name}`, format);
    web.files.set('/m.json', JSON.stringify({ ...FACTS, kernel, rootfs }));
    const lockFile = join(folder, 'smartvm.lock');
    const manager = (cache: string): BaseImageManager =>
      new BaseImageManager({ cacheDir: join(folder, cache), hostedManifestUrl: `${web.origin}/m.json`, lockFile });
    await manager('one').lockBaseImages([{}]);
    const { images } = JSON.parse(await readFile(lockFile, 'utf8')) as {
      images: Record<string, Record<string, { artifacts: Record<string, { compressed?: unknown }> }>>;
    };
    const locked = Object.values(images)[0]?.['x86_64']?.artifacts;
    const form = { format, sha256: digestOf(PACKED[format]), bytes: PACKED[format].byteLength };
    assert.deepEqual([locked?.['kernel']?.compressed, locked?.['rootfs']?.compressed], [undefined, form]);

    web.files.delete('/m.json');
    const bundle = await manager('two').ensureBaseImage({ frozen: true });
    assert.ok((await readFile(bundle.rootfsPath)).equals(PLAIN));
    assert.equal(bundle.trust, 'pinned');
    const other = Buffer.from(PACKED[format]);
    other.fill(0xff, 90, 190);
    web.files.set(`/${name}`, other);
    const failure = await rejection(manager('three').ensureBaseImage({ frozen: true }));
    assert.equal(failure.code, 'BASE_IMAGE_LOCK_MISMATCH');
  });
}

test('a mirror that has other compressed bytes is left when they are disowned, whether or not they could be unpacked', async (t) => {
  const others = [
    pack('zstd', Buffer.alloc(PLAIN.byteLength, 'lies')),
    Buffer.alloc(PACKED.zstd.byteLength, 'no zstd'),
  ];
  const good = await serving(t, PACKED.zstd);
  for (const other of others) {
    const liar = await serving(t, other, { etag: '"lies"' });
    const { folder, write, manifestPath } = await manifestWorld(t);
    await writeFile(join(folder, 'vmlinux'), KERNEL);
    const { format, sha256 } = entryOf('', 'zstd').compressed ?? assert.fail();
    await write({ rootfs: entryOf(`${good.origin}/rootfs.ext4.zst`, 'zstd', { compressed: { format, sha256 } }) });
    const mirrors = [`${good.origin}=${liar.origin}`];
    const source = createSource({ bucketUrl: '', releasesUrl: '', allowHttp: [], mirrors });
    const { artifacts } = await source.resolve(manifestPath, { ...contextOf(), arch: 'x86_64' });
    const first = await artifacts.rootfs.open(contextOf());
    assert.equal(first.source, new URL(liar.origin).host);
    const error = await rejection(allOf(first));
    assert.equal(error.code, 'STORE_DIGEST_MISMATCH');
    assert.equal(first.disown?.(error.message), true);
    const second = await artifacts.rootfs.open(contextOf());
    assert.equal(second.source, new URL(good.origin).host);
    assert.ok((await allOf(second)).equals(PLAIN));
  }
});

test('an image says how its files come, and a plan what comes over the network', async (t) => {
  const { images, write, manifestPath } = await manifestWorld(t);
  const rootfs = entryOf('https://images.example/rootfs.ext4.xz', 'xz');
  await write({ rootfs });
  const { artifacts } = await images.resolveBaseImage({ manifestPath });
  const { bytes, sha256, compressed } = artifacts.find(({ role }) => role === 'rootfs') ?? assert.fail();
  const form = { format: 'xz', sha256: digestOf(PACKED.xz), bytes: PACKED.xz.byteLength };
  assert.deepEqual(
    { bytes, sha256, compressed },
    { bytes: PLAIN.byteLength, sha256: digestOf(PLAIN), compressed: form },
  );
  assert.equal((await images.planBaseImage({ manifestPath })).bytesToFetch, KERNEL.byteLength + PACKED.xz.byteLength);
  await images.pruneBaseImageCache();
  assert.equal((await images.planBaseImage({ manifestPath })).bytesToFetch, KERNEL.byteLength + PACKED.xz.byteLength);
  await write({ rootfs: { ...rootfs, compressed: { format: 'xz', sha256: form.sha256 } } });
  assert.equal((await images.planBaseImage({ manifestPath })).bytesToFetch, undefined);
});

for (const [rootfs, problem] of [
  [{ sizeBytes: undefined }, /rootfs with compressed requires sizeBytes/],
  [{ compressed: { format: 'zstd' } }, /rootfs with url and compressed requires compressed\.sha256/],
  [{ compressed: { format: 'lz4', sha256: '0'.repeat(64) } }, /rootfs\.compressed\.format must be zstd, gzip or xz/],
  [{ compressed: { sha256: '0'.repeat(64) } }, /rootfs\.compressed\.format must be zstd, gzip or xz/],
  [{ compressed: { format: 'xz', sha256: 'x' } }, /rootfs\.compressed\.sha256 must be 64 hex digits/],
  [
    { compressed: { format: 'xz', sha256: '0'.repeat(64), sizeBytes: -1 } },
    /rootfs\.compressed\.sizeBytes must not be neg/,
  ],
  [{ compressed: 'xz' }, /rootfs\.compressed must be object, is string/],
  [{ compressed: null }, /rootfs\.compressed must be object, is null/],
] as const) {
  test(`a manifest with a rootfs of ${JSON.stringify(rootfs).slice(0, 60)} is refused by its field`, async (t) => {
    const { ensure } = await manifestWorld(t);
    const url = 'https://images.example/rootfs.ext4.zst';
    const error = await rejection(ensure({ rootfs: { ...entryOf(url, 'zstd'), ...rootfs } }));
    assert.equal(error.code, 'INVALID_BASE_IMAGE_MANIFEST');
    assert.match(error.message, problem);
  });
}

test('the same file as it is, and what is packed in it, go by two identities', async (t) => {
  const { folder, write, manifestPath } = await manifestWorld(t);
  await writeFile(join(folder, 'r'), PACKED.gzip);
  const source = createSource({ bucketUrl: '', releasesUrl: '', allowHttp: [] });
  const identities = new Set<string>();
  for (const fields of [{}, { compressed: { format: 'gzip' }, sizeBytes: PACKED.gzip.byteLength }]) {
    await write({ rootfs: { path: 'r', ...fields } });
    const { artifacts } = await source.resolve(manifestPath, { ...contextOf(), arch: 'x86_64' });
    identities.add(artifacts.rootfs.identity);
  }
  assert.equal(identities.size, 2);
});

test('a compressed path whose size is not the promised one is refused', async (t) => {
  const { folder, ensure } = await manifestWorld(t);
  await writeFile(join(folder, 'r.gz'), PACKED.gzip);
  const rootfs = { path: 'r.gz', sizeBytes: PLAIN.byteLength, compressed: { format: 'gzip', sizeBytes: 7 } };
  assert.match((await rejection(ensure({ rootfs }))).message, /bytes, and compressed\.sizeBytes says 7/);
});

test('the suffix of a compressed file goes, and what is left of its name must be a name', async (t) => {
  const { write, manifestPath } = await manifestWorld(t);
  const source = createSource({ bucketUrl: '', releasesUrl: '', allowHttp: [] });
  for (const [last, name] of [
    ['a.img.zst', 'a.img'],
    ['a.img.GZ', 'a.img'],
    ['a.xz.xz', 'a.xz'],
    ['a.img', 'a.img'],
    ['.zst', 'rootfs.ext4'],
  ] as const) {
    await write({ rootfs: entryOf(`https://images.example/${last}`, 'zstd') });
    const { artifacts } = await source.resolve(manifestPath, { ...contextOf(), arch: 'x86_64' });
    assert.equal(artifacts.rootfs.fileName, name);
  }
});

/** The call is refused for this cause, and nothing of it is in the cache. */
async function refusal(images: BaseImageManager, call: Promise<unknown>, code: string, message: RegExp): Promise<void> {
  const error = await rejection(call);
  assert.equal(error.code, 'BASE_IMAGE_PREPARE_FAILED');
  const { cause } = error;
  assert.ok(cause instanceof SmartVMError);
  assert.equal(cause.code, code, cause.message);
  assert.match(cause.message, message);
  assert.deepEqual(await images.listBaseImages(), []);
  assert.deepEqual(await readdir(join(images.getCacheDir(), 'v1', 'staging')), []);
}
