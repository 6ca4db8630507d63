import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import fc from 'fast-check';
import type { SmartVMError } from '../../src/errors.ts';
import { isBundleId, isPlainName, type Arch, type Artifact, type ResolvedImage } from '../../src/image.ts';
import { createSource } from '../../src/sources/hosted-manifest.ts';
import { duplicateKey } from '../../src/sources/hosted-manifest/duplicate-key.ts';
import { hostedManifest } from '../../src/sources/hosted-manifest/schema.ts';
import { startHttpServer } from '../support/http-server.ts';
import { contextOf } from '../support/images.ts';
import { schemaPath, schemaText } from '../../scripts/schemas.ts';
import { rejection } from '../support/rejection.ts';

const SHA = 'a'.repeat(64);
const KERNEL = { url: 'https://host/images/vmlinux', sha256: SHA, sizeBytes: 5 };
const ROOTFS = { url: 'https://host/images/rootfs.ext4', sha256: 'B'.repeat(64) };
const MINIMAL = {
  schemaVersion: 1,
  bundleId: 'smartvm-minimal-v1-x86_64',
  arch: 'x86_64',
  firecrackerVersion: 'v1.15.1',
  rootfsType: 'ext4',
  kernel: KERNEL,
  rootfs: ROOTFS,
};

test('a manifest becomes an image with its own id, its preset and ciVersion hosted', async (t) => {
  const path = await write(t, MINIMAL);
  const { facts, artifacts } = await resolve(path);
  assert.deepEqual(facts, {
    reference: path,
    preset: 'hosted',
    bundleId: 'smartvm-minimal-v1-x86_64',
    arch: 'x86_64',
    ciVersion: 'hosted',
    firecrackerVersion: 'v1.15.1',
    rootfsType: 'ext4',
    rootfsIsReadOnly: false,
    bootArgs: 'console=ttyS0 reboot=k panic=1 pci=off',
    source: { type: 'hosted-manifest', manifestPath: path, kernelUrl: KERNEL.url, rootfsUrl: ROOTFS.url },
    trust: 'published',
  });
  assert.equal(artifacts.kernel.fileName, 'vmlinux');
  assert.equal(artifacts.kernel.bytes, 5);
  assert.equal(artifacts.rootfs.fileName, 'rootfs.ext4');
  assert.equal(artifacts.rootfs.sha256, 'b'.repeat(64), 'upper case is accepted');
  assert.equal(artifacts.initrd, undefined);
});

test('an initrd may be named, and unknown fields are ignored', async (t) => {
  const path = await write(t, {
    ...MINIMAL,
    initrd: { url: 'https://host/i', sha256: SHA },
    future: { x: 1 },
    __proto__x: 1,
  });
  const { artifacts, facts } = await resolve(path);
  assert.equal(artifacts.initrd?.fileName, 'i');
  assert.ok(facts.source.type === 'hosted-manifest' && facts.source.initrdUrl === 'https://host/i');
});

for (const [what, fields, bootArgs, isReadOnly] of [
  ['ext4', {}, 'console=ttyS0 reboot=k panic=1 pci=off', false],
  ['squashfs', { rootfsType: 'squashfs' }, 'console=ttyS0 reboot=k panic=1 pci=off ro rootfstype=squashfs', true],
  ['read-only ext4', { rootfsIsReadOnly: true }, 'console=ttyS0 reboot=k panic=1 pci=off ro', true],
  ['an empty bootArgs', { bootArgs: '' }, 'console=ttyS0 reboot=k panic=1 pci=off', false],
  ['a bootArgs of its own', { bootArgs: 'quiet  x=y' }, 'quiet  x=y', false],
] as const) {
  test(`${what} gives the boot arguments ${JSON.stringify(bootArgs)}`, async (t) => {
    const { facts } = await resolve(await write(t, { ...MINIMAL, ...fields }));
    assert.equal(facts.bootArgs, bootArgs);
    assert.equal(facts.rootfsIsReadOnly, isReadOnly);
  });
}

const bad: readonly (readonly [fields: object, problem: RegExp])[] = [
  [{ schemaVersion: '1' }, /schemaVersion must be the number 1/],
  [{ schemaVersion: 2 }, /schemaVersion/],
  ...['', '.', '..', '.hidden', 'a/b', 'a b', 'a\nb', 'x'.repeat(129), 'K\u212a', 5, null, undefined].map(
    (bundleId) => [{ bundleId }, /bundleId/] as const,
  ),
  [{ arch: 'arm64' }, /arch must be x86_64 or aarch64/],
  [{ arch: 'aarch64' }, /arch is aarch64, and x86_64 was asked for/],
  ...['1.15.1', 'v1.7', 'v1.7.0-rc1', 'v1.7.0\n', 'v01.7.0', `v1.7.${'9'.repeat(20)}`, 7].map(
    (firecrackerVersion) => [{ firecrackerVersion }, /firecrackerVersion/] as const,
  ),
  [{ rootfsType: 'btrfs' }, /rootfsType must be ext4 or squashfs/],
  [{ rootfsType: 'squashfs', rootfsIsReadOnly: false }, /rootfsIsReadOnly must not be false: squashfs/],
  [{ rootfsIsReadOnly: 'yes' }, /rootfsIsReadOnly must be boolean, is string/],
  ...['a\nb', 'a\0b', 'a\tb', 'ä', 'x'.repeat(2049), 5, null].map((bootArgs) => [{ bootArgs }, /bootArgs/] as const),
  [{ kernel: undefined }, /kernel must be object, is missing/],
  [{ kernel: null }, /kernel must be object, is null/],
  [{ rootfs: 'x' }, /rootfs must be object, is string/],
  [{ initrd: null }, /initrd/],
  [{ kernel: {} }, /kernel needs url or path/],
  [{ kernel: { ...KERNEL, path: 'x' } }, /kernel has both url and path/],
  [{ kernel: { url: 'https://host/x' } }, /kernel with url requires sha256/],
  ...['', '.', '..', 'a/b', 'a\\b', 'a b', 'x'.repeat(129), null, 5, 'manifest.json', 'Manifest.JSON'].map(
    (fileName) => [{ kernel: { ...KERNEL, fileName } }, /kernel\.fileName/] as const,
  ),
  ...['', null, 'a'.repeat(63), 'a'.repeat(65), 'g'.repeat(64), `${SHA}\n`, 5].map(
    (sha256) => [{ kernel: { ...KERNEL, sha256 } }, /kernel\.sha256/] as const,
  ),
  ...[null, -1, 1.5, '5', 1e300, 2 ** 53].map(
    (sizeBytes) => [{ kernel: { ...KERNEL, sizeBytes } }, /kernel\.sizeBytes/] as const,
  ),
  [{ kernel: { ...KERNEL, fileName: 'a' }, rootfs: { ...ROOTFS, fileName: 'A' } }, /two files the fileName "A"/],
  ...[
    'file:///etc/passwd',
    'ftp://host/x',
    '-K/etc/passwd',
    '//host/x',
    'http://host/x',
    'https://u:p@host/x',
    'x',
    '',
  ].map((url) => [{ kernel: { ...KERNEL, url } }, /kernel\.url/] as const),
];
for (const [fields, problem] of bad) {
  test(`a manifest with ${JSON.stringify(fields).slice(0, 90)} is refused by its field`, async (t) => {
    const error = await rejection(resolve(await write(t, { ...MINIMAL, ...fields })));
    assert.equal(error.code, 'INVALID_BASE_IMAGE_MANIFEST');
    assert.match(error.message, problem);
    assert.ok(error.hint !== undefined);
  });
}

test('all problems are told at once, each with its field', async (t) => {
  const error = await rejection(
    resolve(
      await write(t, {
        schemaVersion: 2,
        bundleId: '..',
        arch: 'aarch64',
        rootfsType: 'squashfs',
        rootfsIsReadOnly: false,
        kernel: { sizeBytes: -1, fileName: 'x' },
        rootfs: { url: 'http://host/x', path: '/x', fileName: 'X' },
      }),
    ),
  );
  const { message } = error;
  const fields = [/schemaVersion/, /bundleId/, /arch is aarch64/, /firecrackerVersion/, /rootfsIsReadOnly/];
  const artifacts = [
    /kernel needs url/,
    /kernel\.sizeBytes/,
    /rootfs has both/,
    /rootfs with url requires/,
    /rootfs\.url/,
  ];
  for (const problem of [...fields, ...artifacts, /two files the fileName "X"/]) assert.match(message, problem);
});

for (const text of ['null', '[]', '5', '"x"', 'true', '{}', '[1,2]', '[null]']) {
  test(`the JSON ${text} is no manifest`, async (t) => {
    const error = await rejection(resolve(await writeText(t, text)));
    assert.equal(error.code, 'INVALID_BASE_IMAGE_MANIFEST');
  });
}

for (const [what, text] of [
  ['nothing', ''],
  ['HTML', '<html>log in</html>'],
  ['cut JSON', '{"schemaVersion": 1'],
  ['a byte order mark', `\ufeff${JSON.stringify(MINIMAL)}`],
  ['no UTF-8', Buffer.concat([Buffer.from('{"name": "'), Buffer.from([0xff, 0xfe]), Buffer.from('"}')])],
  ['NUL', '\0'],
  ['more than a mebibyte', JSON.stringify({ ...MINIMAL, name: 'x'.repeat(1024 * 1024) })],
] as const) {
  test(`a file with ${what} is BASE_IMAGE_MANIFEST_FAILED`, async (t) => {
    const path = await writeText(t, text);
    const error = await rejection(resolve(path));
    assert.equal(error.code, 'BASE_IMAGE_MANIFEST_FAILED');
    assert.ok(error.message.includes(path));
    assert.ok(error.cause instanceof Error);
  });
}

test('half a million levels of nesting are one typed error', async (t) => {
  const deep = await writeText(t, `{"kernel":${'['.repeat(500_000)}${']'.repeat(500_000)}}`);
  assert.equal((await rejection(resolve(deep))).code, 'INVALID_BASE_IMAGE_MANIFEST');
});

for (const [text, key] of [
  ['{"a": 1, "a": 2}', 'a'],
  ['{"a": 1, "\\u0061": 2}', 'a'],
  ['{"x": [{"b\\"": {}, "c": 1, "b\\"": 3}]}', 'b"'],
  ['{"a": {"a": 1}, "b": {"a": "a"}, "c": ["a", "a"], "d": "a,\\"a\\""}', undefined],
  ['["a", "a", {"a": "a"}]', undefined],
] as const) {
  test(`in ${text} ${key === undefined ? 'no key' : `the key ${key}`} is there twice`, () => {
    JSON.parse(text);
    assert.equal(duplicateKey(text), key);
  });
}

test('JSON that was written from a value has no key twice', () => {
  fc.assert(fc.property(fc.jsonValue(), (value) => duplicateKey(JSON.stringify(value)) === undefined));
});

test('a manifest with a key twice means two things and is refused', async (t) => {
  const path = await writeText(t, JSON.stringify(MINIMAL).replace('{', `{"bundleId":"other",`));
  assert.match((await rejection(resolve(path))).message, /has the key "bundleId" twice/);
});

test('whatever a manifest holds, it is an image or one coded error', async (t) => {
  const folder = await folderOf(t);
  const value = fc.oneof(
    fc.jsonValue(),
    fc.constantFrom('x86_64', 'ext4', 1, 'v1.1.1', KERNEL, ROOTFS, { path: '..' }),
  );
  const manifests = fc.record(Object.fromEntries(Object.keys(MINIMAL).map((key) => [key, value])), {
    requiredKeys: [],
  });
  await fc.assert(
    fc.asyncProperty(manifests, async (fields) => {
      const path = join(folder, 'm.json');
      await writeFile(path, JSON.stringify({ ...MINIMAL, ...fields }));
      const code = await resolve(path).then(
        () => 'resolved',
        (error: unknown) => (error as SmartVMError).code,
      );
      assert.ok(['resolved', 'INVALID_BASE_IMAGE_MANIFEST'].includes(code), code);
    }),
    { numRuns: 200 },
  );
});

test('the schema takes the names that bundles and files may have, and no others', () => {
  const { bundleId, kernel } = hostedManifest.shape;
  const names = fc.oneof(
    fc.string(),
    fc.stringMatching(/^[A-Za-z0-9._-]*$/),
    fc.constantFrom('.', '..', '...', '.a', 'a\n'),
  );
  fc.assert(
    fc.property(names, (name) => {
      assert.equal(bundleId.safeParse(name).success, isBundleId(name));
      if (name.toLowerCase() === 'manifest.json') return;
      assert.equal(kernel.shape.fileName.safeParse(name).success, isPlainName(name));
    }),
  );
});

for (const [what, kernel, rootfs, names] of [
  ['the query is dropped, escapes stay', 'https://h/a%20b.img?x=/y#z', 'https://h/r', ['a_20b.img', 'r']],
  ['an empty end gets the default', 'https://h/x/', 'https://h', ['vmlinux', 'rootfs.ext4']],
  ['the same name gets its role in front', 'https://h/1/image', 'https://h/2/image', ['kernel-image', 'rootfs-image']],
  ['case makes no difference', 'https://h/Image', 'https://h/image', ['kernel-Image', 'rootfs-image']],
  [
    'the name of the record gets its role in front',
    'https://h/manifest.json',
    'https://h/r',
    ['kernel-manifest.json', 'r'],
  ],
  [
    'names that are too long',
    `https://h/${'x'.repeat(200)}`,
    `https://h/${'y'.repeat(200)}`,
    ['kernel-artifact', 'rootfs-artifact'],
  ],
  [
    'long names that are the same',
    `https://h/1/${'x'.repeat(125)}`,
    `https://h/2/${'x'.repeat(125)}`,
    [`kernel-${'x'.repeat(121)}`, `rootfs-${'x'.repeat(121)}`],
  ],
] as const) {
  test(`names on disk: ${what}`, async (t) => {
    const image = await resolve(
      await write(t, { ...MINIMAL, kernel: { ...KERNEL, url: kernel }, rootfs: { ...ROOTFS, url: rootfs } }),
    );
    assert.deepEqual([image.artifacts.kernel.fileName, image.artifacts.rootfs.fileName], names);
  });
}

test('names on disk: a derived name never meets a given one, however it is made distinct', async (t) => {
  const initrd = { url: 'https://h/3/image', sha256: SHA };
  const path = await write(t, {
    ...MINIMAL,
    kernel: { ...KERNEL, fileName: 'rootfs-image' },
    rootfs: { ...ROOTFS, url: 'https://h/2/image' },
    initrd,
  });
  const { kernel, rootfs, initrd: third } = (await resolve(path)).artifacts;
  assert.deepEqual(
    [kernel.fileName, rootfs.fileName, third?.fileName],
    ['rootfs-image', 'rootfs-rootfs-image', 'initrd-image'],
  );
});

test('a path is read beside the manifest, in any size of pieces; its trust is first-use without a digest', async (t) => {
  const folder = await folderOf(t);
  await mkdir(join(folder, 'images'));
  const content = Buffer.alloc(2_500_000, 'kernel');
  await writeFile(join(folder, 'images/vmlinux'), content);
  await writeFile(join(folder, 'root'), 'root');
  await writeFile(
    join(folder, 'm.json'),
    JSON.stringify({ ...MINIMAL, kernel: { path: 'images/vmlinux' }, rootfs: { path: join(folder, 'root') } }),
  );
  const { facts, artifacts } = await resolve(join(folder, 'm.json'));
  assert.equal(facts.trust, 'first-use');
  assert.equal(artifacts.kernel.bytes, 2_500_000);
  assert.ok((await read(artifacts.kernel)).equals(content));
  assert.equal((await read(artifacts.rootfs)).toString(), 'root');
  assert.ok(
    facts.source.type === 'hosted-manifest' && facts.source.kernelSourcePath === join(folder, 'images/vmlinux'),
  );
});

test('a path that leads out of the folder, to nothing, a folder, a FIFO or a device is refused, and nothing waits', async (t) => {
  const folder = await folderOf(t);
  await mkdir(join(folder, 'folder'));
  execFileSync('mkfifo', [join(folder, 'fifo')]);
  await symlink('/dev/zero', join(folder, 'link'));
  for (const [path, why] of [
    ['../outside', /out of the folder/],
    ['folder/../../outside', /out of the folder/],
    ['missing', /ENOENT/],
    ['folder', /not a regular file/],
    ['fifo', /not a regular file/],
    ['/dev/zero', /not a regular file/],
    ['link', /not a regular file/],
    ['a\0b', /kernel\.path/],
    ['x'.repeat(300), /ENAMETOOLONG/],
  ] as const) {
    await writeFile(join(folder, 'm.json'), JSON.stringify({ ...MINIMAL, kernel: { path } }));
    const error = await rejection(resolve(join(folder, 'm.json')));
    assert.equal(error.code, 'INVALID_BASE_IMAGE_MANIFEST', path);
    assert.match(error.message, why);
  }
});

test('a path whose size is not the promised one is refused', async (t) => {
  const folder = await folderOf(t);
  await writeFile(join(folder, 'k'), '12345');
  await writeFile(join(folder, 'm.json'), JSON.stringify({ ...MINIMAL, kernel: { path: 'k', sizeBytes: 6 } }));
  assert.match((await rejection(resolve(join(folder, 'm.json')))).message, /is 5 bytes, and sizeBytes says 6/);
});

test('a file that changes after it was looked at is not handed out as what it was', async (t) => {
  const folder = await folderOf(t);
  await writeFile(join(folder, 'k'), 'one');
  await writeFile(join(folder, 'm.json'), JSON.stringify({ ...MINIMAL, kernel: { path: 'k' } }));
  const { artifacts } = await resolve(join(folder, 'm.json'));
  await writeFile(join(folder, 'k'), 'two');
  const error = await rejection(read(artifacts.kernel));
  assert.match(error.message, /changed while/);
  assert.equal(error.retryable, true);
  const now = await resolve(join(folder, 'm.json'));
  assert.notEqual(now.artifacts.kernel.identity, artifacts.kernel.identity);
  assert.equal((await read(now.artifacts.kernel)).toString(), 'two');
});

test('a manifest file that is missing, a folder or a FIFO is BASE_IMAGE_MANIFEST_FAILED, and nothing waits', async (t) => {
  const folder = await folderOf(t);
  execFileSync('mkfifo', [join(folder, 'fifo')]);
  for (const path of [join(folder, 'missing.json'), folder, join(folder, 'fifo'), '/dev/zero']) {
    const error = await rejection(resolve(path));
    assert.equal(error.code, 'BASE_IMAGE_MANIFEST_FAILED');
    assert.ok(error.message.includes(path));
  }
});

test('a manifest from an URL is read and may name files on its own origin', async (t) => {
  const origin = await serve(t, (response, own) => {
    response.end(JSON.stringify({ ...MINIMAL, kernel: { ...KERNEL, url: `${own}/vmlinux` } }));
  });
  const { facts, artifacts } = await resolve(`${origin}/m.json`);
  assert.equal(facts.trust, 'published');
  assert.equal(facts.reference, `${origin}/m.json`);
  assert.ok(artifacts.kernel.identity.includes(origin));
});

test('a manifest from an URL names no local file', async (t) => {
  const origin = await serve(t, (response) => {
    response.end(JSON.stringify({ ...MINIMAL, kernel: { path: '/etc/hostname' }, rootfs: { path: 'x', sha256: SHA } }));
  });
  const error = await rejection(resolve(`${origin}/m.json`));
  assert.equal(error.code, 'INVALID_BASE_IMAGE_MANIFEST');
  assert.match(error.message, /kernel\.path names a local file/);
  assert.match(error.message, /rootfs\.path names a local file/);
});

for (const status of [403, 404, 410]) {
  test(`a manifest that is answered with ${status} is refused, JSON or not`, async (t) => {
    const origin = await serve(t, (response) => response.writeHead(status).end(JSON.stringify(MINIMAL)));
    const error = await rejection(resolve(`${origin}/m.json`));
    assert.equal(error.code, 'BASE_IMAGE_MANIFEST_FAILED');
    assert.match(error.message, new RegExp(`status ${status}`));
    assert.equal((error.cause as SmartVMError).code, 'TRANSFER_STATUS');
  });
}

test('a page of a web site is no manifest', async (t) => {
  const origin = await serve(t, (response) =>
    response.setHeader('content-type', 'text/html').end('<html>log in</html>'),
  );
  assert.equal((await rejection(resolve(`${origin}/m.json`))).code, 'BASE_IMAGE_MANIFEST_FAILED');
});

test('a manifest that is too large is refused', async (t) => {
  const origin = await serve(t, (response) =>
    response.end(JSON.stringify({ ...MINIMAL, name: 'x'.repeat(1024 * 1024) })),
  );
  const error = await rejection(resolve(`${origin}/m.json`));
  assert.equal(error.code, 'BASE_IMAGE_MANIFEST_FAILED');
  assert.equal((error.cause as SmartVMError).code, 'TRANSFER_TOO_LARGE');
});

for (const locator of ['https://user:secret@127.0.0.1:1/m.json', 'http://', 'https://user:secret@']) {
  test(`${locator} is no address of a manifest, and no secret is told`, async () => {
    const error = await rejection(resolve(locator));
    assert.equal(error.code, 'BASE_IMAGE_MANIFEST_FAILED');
    assert.equal((error.cause as SmartVMError).code, 'TRANSFER_REFUSED');
  });
}

test('a local manifest is resolved without the network, one from an URL is not', () => {
  const source = createSource({ bucketUrl: '', releasesUrl: '', allowHttp: [] });
  const offline = ['/a/m.json', './m.json', 'https://host/m.json', 'HTTP://host/m.json'].map((locator) =>
    source.resolvesOffline?.(locator),
  );
  assert.deepEqual(offline, [true, true, false, false]);
});

test('the published JSON Schema is the one that manifests are read with', async () => {
  assert.equal(await readFile(schemaPath, 'utf8'), schemaText(), 'run: npx tsx scripts/write-schema.ts');
});

async function resolve(locator: string, arch: Arch = 'x86_64'): Promise<ResolvedImage> {
  const source = createSource({ bucketUrl: '', releasesUrl: '', allowHttp: [] });
  return await source.resolve(locator, { ...contextOf(AbortSignal.timeout(20_000)), arch });
}

async function folderOf(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'smartvm-manifest-'));
  t.after(() => rm(folder, { recursive: true }));
  return folder;
}

async function write(t: TestContext, manifest: object): Promise<string> {
  return await writeText(t, JSON.stringify(manifest));
}

async function writeText(t: TestContext, text: string | Uint8Array): Promise<string> {
  const path = join(await folderOf(t), 'm.json');
  await writeFile(path, text);
  return path;
}

async function serve(t: TestContext, answer: (response: ServerResponse, origin: string) => void): Promise<string> {
  const server = await startHttpServer((_, response) => answer(response, server.origin));
  t.after(() => server.close());
  return server.origin;
}

async function read(artifact: Artifact): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of await artifact.open(contextOf())) chunks.push(chunk);
  return Buffer.concat(chunks);
}
