import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { lstat, mkdir, readFile, readlink, symlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import test from 'node:test';
import fc from 'fast-check';
import { BaseImageManager, SmartVMError, formatReference, parseReference } from 'smartvm';
import { isBundleId, isPlainName, lastSegment, toPlainName } from '../../src/image.ts';
import { parseListingPage } from '../../src/sources/firecracker-ci/listing-page.ts';
import { fileNamesOf } from '../../src/sources/hosted-manifest/file-names.ts';
import { parseManifest } from '../../src/sources/hosted-manifest/parse.ts';
import { filesBelow } from '../support/files-below.ts';
import { startHttpServer } from '../support/http-server.ts';
import { FACTS, KERNEL, ROOTFS, worldOf } from './contract.fixture.ts';

/** Together 100,000 cases; a failure prints the seed with which it comes again. */
const RUNS = { manifests: 40_000, texts: 15_000, listings: 15_000, references: 15_000, names: 15_000 } as const;

const SHA = 'a'.repeat(64);
const GOOD = {
  ...FACTS,
  kernel: { url: 'https://host/images/vmlinux', sha256: SHA, sizeBytes: 5 },
  rootfs: { path: 'rootfs.ext4', fileName: 'root' },
};

/** Values that have broken parsers before. */
const nasty = fc.constantFrom<unknown>(
  ...[
    '',
    '.',
    '..',
    '../..',
    '/etc/passwd',
    'a\0b',
    'a\nb',
    '-K/etc/passwd',
    'manifest.json',
    'MANIFEST.JSON',
    '\ud800',
  ],
  ...[
    '__proto__',
    'constructor',
    'x'.repeat(300),
    'file:///etc/passwd',
    'http://host/',
    'https://[::1]:0/',
    'https://u:p@h/',
  ],
  ...[
    'v1.1.1',
    'v999999999999.0.0',
    'ext4',
    'squashfs',
    'x86_64',
    'aarch64',
    SHA,
    '%00',
    '%2e%2e%2f',
    '\u202e',
    'K\u212a',
  ],
  ...[0, -0, -1, 1.5, 1e308, 2 ** 53, null, true, false, [], {}, { url: 'https://h/x' }, { path: '..' }, { path: 7 }],
);
const anything = fc.oneof({ weight: 4, arbitrary: nasty }, fc.jsonValue({ maxDepth: 2 }), fc.string({ maxLength: 40 }));
const artifact = fc.oneof(
  {
    weight: 3,
    arbitrary: mangled({ url: 'https://h/k', sha256: SHA }, ['url', 'path', 'sha256', 'fileName', 'sizeBytes']),
  },
  anything,
);
const manifest = fc
  .tuple(
    mangled(GOOD, [...Object.keys(GOOD), 'bootArgs', 'rootfsIsReadOnly', 'initrd', 'tomorrow']),
    fc.option(artifact),
    fc.option(artifact),
  )
  .map(([fields, kernel, rootfs]) => ({
    ...fields,
    ...(kernel === null ? {} : { kernel }),
    ...(rootfs === null ? {} : { rootfs }),
  }));

test('whatever JSON a manifest is, it is read, or refused with the code of a manifest', () => {
  check(RUNS.manifests, manifest, (value) => {
    readOrRefuse(Buffer.from(JSON.stringify(value)));
  });
});

test('whatever bytes a manifest is, it is read, or refused with one of two codes', () => {
  check(RUNS.texts, damaged(Buffer.from(JSON.stringify(GOOD))), readOrRefuse);
});

test('whatever bytes a listing is, it is read, or refused in words', () => {
  const object = '<Contents><Key>a/vmlinux-6.1.1</Key><Size>5</Size><ETag>"x"</ETag></Contents>';
  const page = `<?xml version="1.0"?><ListBucketResult><IsTruncated>false</IsTruncated>${object}${object}</ListBucketResult>`;
  const piece = fc.constantFrom(
    ...'<Contents> </Contents> <Key> </Key> &amp; &#0; &x; <!ENTITY ]]> <![CDATA['.split(' '),
  );
  const texts = fc.oneof(
    damaged(Buffer.from(page)),
    fc
      .array(fc.oneof(piece, fc.string({ maxLength: 8 })), { maxLength: 12 })
      .map((parts) => Buffer.from(parts.join(''))),
    fc.string({ maxLength: 30 }).map((key) => Buffer.from(page.replace('a/vmlinux', () => key))),
  );
  check(RUNS.listings, texts, (bytes) => {
    try {
      for (const { key, bytes: size } of parseListingPage(bytes).objects) {
        assert.ok(typeof key === 'string' && Number.isSafeInteger(size) && (size ?? -1) >= 0);
      }
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error;
      const isOfTheDecoder =
        error instanceof TypeError && 'code' in error && error.code === 'ERR_ENCODING_INVALID_ENCODED_DATA';
      assert.ok(
        error instanceof Error && (error.constructor === Error || error.name === 'XmlError' || isOfTheDecoder),
        String(error),
      );
    }
  });
});

test('whatever text a reference is, it is read so that it is written the same again, or refused with its code', () => {
  const part = fc.constantFrom(
    'latest',
    'lts',
    'v1.15',
    '20260923',
    'debian',
    ':',
    './',
    '/',
    'https://',
    '.json',
    '..',
    '\0',
    '\n',
  );
  const texts = fc.oneof(
    fc.array(fc.oneof(part, fc.string({ maxLength: 5 })), { maxLength: 5 }).map((parts) => parts.join('')),
    fc.string(),
  );
  check(RUNS.references, texts, (text) => {
    const reference = orCode(() => parseReference(text), ['INVALID_BASE_IMAGE_REFERENCE']);
    if (reference === undefined) return;
    assert.deepEqual(parseReference(formatReference(reference)), reference);
  });
});

test('whatever an address or a path ends in, the name of the file is plain, and no two files of a bundle share one', () => {
  const given = fc.oneof(
    fc.constantFrom<string | undefined>(undefined, 'a', 'A', 'rootfs-a', 'kernel-a'),
    fc.stringMatching(/^[A-Za-z0-9._-]{1,4}$/).filter((name) => isPlainName(name) && !/^manifest\.json$/i.test(name)),
  );
  const target = fc.oneof(
    fc.webUrl({ withQueryParameters: true }),
    fc.constantFrom('https://h/', 'https://h/manifest.json', 'https://h/a'),
    fc.string(),
  );
  check(RUNS.names, fc.tuple(target, target, given, given), ([kernel, rootfs, kernelName, rootfsName]) => {
    assert.ok(isPlainName(toPlainName(lastSegment(kernel))));
    if (kernelName?.toLowerCase() === rootfsName?.toLowerCase() && kernelName !== undefined) return;
    const named = (url: string, fileName?: string): object => ({
      url,
      sha256: SHA,
      ...(fileName === undefined ? {} : { fileName }),
    });
    const names = fileNamesOf({
      ...GOOD,
      kernel: named(kernel, kernelName),
      rootfs: named(rootfs, rootfsName),
    });
    const folded = [names.kernel, names.rootfs, 'manifest.json'].map((name) => name.toLowerCase());
    assert.equal(new Set(folded).size, 3, folded.join());
    assert.ok(isPlainName(names.kernel) && isPlainName(names.rootfs));
  });
});

test('whatever is asked with whatever manifest, only a SmartVMError comes, and nothing outside the cache changes', async (t) => {
  const { folder } = await worldOf(t);
  const images = join(folder, 'images');
  await mkdir(join(images, 'sub'), { recursive: true });
  await writeFile(join(images, 'vmlinux'), KERNEL);
  await writeFile(join(images, 'rootfs.ext4'), ROOTFS);
  await writeFile(join(folder, 'dear.txt'), 'dear');
  await symlink('/', join(images, 'to-root'));
  const manifestPath = join(images, 'm.json');
  await writeFile(manifestPath, '');
  const cacheDir = join(folder, 'cache');
  const before = await sentinel(folder);
  let made = 0;
  const local = manifest.map((fields) => ({ rootfs: { path: 'rootfs.ext4' }, kernel: { path: 'vmlinux' }, ...fields }));
  const paths = fc.constantFrom(
    'vmlinux',
    './sub/../vmlinux',
    '../dear.txt',
    'to-root/etc/passwd',
    'sub',
    '/dev/null',
    'x\0y',
    '.',
  );
  const asked = fc.oneof(
    local,
    fc.tuple(anything, paths).map(([bundleId, path]) => ({ ...GOOD, bundleId, kernel: { path } })),
  );
  await fc.assert(
    fc.asyncProperty(asked, fc.boolean(), async (value, forceDownload) => {
      await writeFile(manifestPath, JSON.stringify(value));
      const manager = new BaseImageManager({ cacheDir });
      try {
        const bundle = await manager.ensureBaseImage({ manifestPath, forceDownload });
        made += 1;
        assert.ok(isBundleId(bundle.bundleId));
        for (const path of [bundle.kernelImagePath, bundle.rootfsPath]) assert.equal(dirname(path), bundle.bundleDir);
        assert.ok(bundle.bundleDir.startsWith(`${cacheDir}/v1/bundles/`));
      } catch (error) {
        assert.ok(error instanceof SmartVMError, String(error));
      }
    }),
    { numRuns: 500, examples: [[{ ...GOOD, kernel: { path: 'vmlinux' } }, false]] },
  );
  assert.ok(made > 0, 'some of them were sound');
  await writeFile(manifestPath, '');
  assert.deepEqual(await sentinel(folder), before);
});

test('whatever a bucket answers, only a SmartVMError comes', async (t) => {
  let answer: { readonly status: number; readonly body: string } = { status: 200, body: '' };
  const server = await startHttpServer((_request, response) => {
    response.writeHead(answer.status, { 'content-type': 'application/xml' }).end(answer.body);
  });
  t.after(() => server.close());
  const { images } = await worldOf(t, { bucketUrl: server.origin, releasesUrl: `${server.origin}/latest` });
  const body = fc.oneof(
    fc.string(),
    fc.constantFrom('<ListBucketResult/>', '<Error/>', '<html>', '{}', '<a>'.repeat(5000)),
  );
  const property = fc.asyncProperty(body, fc.constantFrom(200, 204, 206, 301, 400, 404), async (text, status) => {
    answer = { status, body: text };
    await assert.rejects(images.ensureBaseImage({ reference: 'v1.15' }), (error) => error instanceof SmartVMError);
  });
  await fc.assert(property, { numRuns: 300 });
});

/** An object with some of its fields replaced, dropped or added. */
function mangled(good: object, fields: readonly string[]): fc.Arbitrary<Record<string, unknown>> {
  const change = fc.tuple(fc.constantFrom(...fields), fc.option(anything, { nil: undefined }));
  return fc.array(change, { maxLength: 3 }).map((changes) => ({ ...good, ...Object.fromEntries(changes) }));
}

/** Bytes that were cut, doubled, flipped or had something put in. */
function damaged(good: Buffer): fc.Arbitrary<Buffer> {
  const place = fc.nat({ max: good.byteLength - 1 });
  return fc
    .tuple(fc.constantFrom('cut', 'flip', 'insert', 'double'), place, fc.uint8Array({ maxLength: 6 }))
    .map(([how, at, bytes]) => {
      if (how === 'cut') return good.subarray(0, at);
      if (how === 'double') return Buffer.concat([good.subarray(0, at), good]);
      if (how === 'insert') return Buffer.concat([good.subarray(0, at), bytes, good.subarray(at)]);
      const flipped = Buffer.from(good);
      flipped[at] = (flipped[at] ?? 0) ^ (1 << (at % 8));
      return flipped;
    });
}

function check<T>(numRuns: number, values: fc.Arbitrary<T>, property: (value: T) => void): void {
  fc.assert(fc.property(values, property), { numRuns });
}

/** What `work` gives, or `undefined` when it throws a `SmartVMError` with one of these codes. */
function orCode<T>(work: () => T, codes: readonly string[]): T | undefined {
  try {
    return work();
  } catch (error) {
    assert.ok(error instanceof SmartVMError && codes.includes(error.code), String(error));
    return undefined;
  }
}

function readOrRefuse(bytes: Buffer): void {
  const origin = { manifestPath: '/images/m.json', policy: { allowHttp: [] } };
  const codes = ['INVALID_BASE_IMAGE_MANIFEST', 'BASE_IMAGE_MANIFEST_FAILED'];
  const read = orCode(() => parseManifest(bytes, '/images/m.json', origin, 'x86_64'), codes);
  if (read !== undefined) assert.ok(isBundleId(read.bundleId));
}

/** Everything but the cache: names, kinds, modes and contents. */
async function sentinel(folder: string): Promise<string[]> {
  const names = (await filesBelow(folder)).filter((name) => name !== 'cache' && !name.startsWith('cache/'));
  return await Promise.all(
    names.map(async (name) => {
      const path = join(folder, name);
      const stats = await lstat(path);
      const content = stats.isFile() ? await readFile(path) : stats.isSymbolicLink() ? await readlink(path) : '';
      const digest = createHash('sha256').update(content).digest('hex');
      const time = basename(name) === 'm.json' ? 0 : stats.isDirectory() ? 0 : stats.mtimeMs;
      return `${name} ${stats.mode} ${time} ${digest}`;
    }),
  );
}
