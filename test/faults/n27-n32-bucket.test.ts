import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import test, { type TestContext } from 'node:test';
import type { BaseImageManagerOptions, Bundle, EnsureBaseImageOptions } from 'smartvm';
import { htmlPage, startFaultyServer } from 'smartvm/testing';
import { startCiBucket } from '../support/ci-bucket.ts';
import type { FakeBucket } from '../support/fake-bucket.ts';
import { assertOnlyContinuable, assertTold, managerOf, type Managed } from './faults.fixture.ts';

const SET = 'firecracker-ci/v1.15/x86_64/';
const KERNEL = `${SET}vmlinux-6.1.155`;
const ROOTFS = `${SET}ubuntu-24.04.squashfs`;
const BUNDLE_ID = 'ci-v1.15-x86_64-vmlinux-6.1.155-ubuntu-24.04.squashfs';

test('N27: a listing is followed over its pages, an empty one too, and what is there twice counts once', async (t) => {
  const world = await bucketWorld(t);
  const pages = [
    page({ keys: [ROOTFS, KERNEL], next: 'a' }),
    page({ keys: [], next: 'b' }),
    page({ keys: [`${SET}vmlinux-5.10.245`, KERNEL] }),
  ];
  const tokens = answerListings(world.bucket, (token) => pages[token === undefined ? 0 : token === 'a' ? 1 : 2] ?? '');
  await assertBundle(world, await world.ensure());
  assert.deepEqual(tokens, [undefined, 'a', 'b']);
});

test('N27: a page that leads back to an earlier one is refused', async (t) => {
  const world = await bucketWorld(t);
  const tokens = answerListings(world.bucket, (token) => page({ keys: [], next: token === 'a' ? 'b' : 'a' }));
  await assertRefused(world, /leads back to itself/);
  assert.deepEqual(tokens, [undefined, 'a', 'b']);
});

test('N27: a listing of 1001 pages is given up after 50', async (t) => {
  const world = await bucketWorld(t);
  const tokens = answerListings(world.bucket, (token) => {
    const number = Number(token ?? 0) + 1;
    return page({ keys: [], ...(number === 1001 ? {} : { next: String(number) }) });
  });
  await assertRefused(world, /more than 50 pages/);
  assert.equal(tokens.length, 50);
});

for (const [what, body, says] of [
  ['cut XML', page({ keys: [KERNEL, ROOTFS] }).slice(0, -40), /Failed to read the listing/],
  ['an Error of S3', '<Error><Code>AccessDenied</Code><Message>no</Message></Error>', /AccessDenied/],
  ['a bomb of entities', `<!DOCTYPE x [<!ENTITY a "&b;&b;">]>${page({ keys: [KERNEL] })}`, /document type/],
  ['a NUL', page({ keys: [`${SET}vmlinux-6.1.155\0`] }), /Failed to read the listing/],
  ['nothing', '', /Failed to read the listing/],
] as const) {
  test(`N28: ${what} instead of a listing is refused`, async (t) => {
    const world = await bucketWorld(t);
    const tokens = answerListings(world.bucket, () => body);
    await assertRefused(world, says);
    assert.equal(tokens.length, 1);
  });
}

test('N28: CDATA and numeric entities in a listing are what they stand for, once', async (t) => {
  const world = await bucketWorld(t);
  const keys = [`<![CDATA[${KERNEL}]]>`, ROOTFS.replace('u', '&#117;'), `${SET}vmlinux-6.1.199&amp;#49;`];
  answerListings(world.bucket, () => page({ keys }));
  await assertBundle(world, await world.ensure());
});

test('N28: a page larger than a document may be is left at the limit', async (t) => {
  const world = await bucketWorld(t, {}, { limits: { maxDocumentBytes: 100_000 } });
  const tokens = answerListings(world.bucket, () => page({ keys: [KERNEL, ROOTFS] }) + ' '.repeat(100_000));
  await assertTold(world, {
    code: 'BASE_IMAGE_RESOLVE_FAILED',
    cause: 'TRANSFER_TOO_LARGE',
    host: new URL(world.bucket.bucketUrl).host,
    says: /at most 100000/,
  });
  assert.equal(tokens.length, 1);
});

test('N29: keys that only look like those of the set are never asked for', async (t) => {
  const world = await bucketWorld(t);
  const lures = ['../vmlinux-6.1.999', '/vmlinux-6.1.999', '%2e%2e%2fvmlinux-6.1.999', 'x/vmlinux-6.1.999']
    .map((name) => SET + name)
    .concat(['firecracker-ci/v1.16/x86_64/vmlinux-6.1.999', 'firecracker-ci/v1.15/aarch64/vmlinux-6.1.999'])
    .concat([`${SET}vmlinux-6.1.999#`, `${SET}vmlinux-6.1.999?x`, `${SET}vmlinux-6.1.\u0669\u0669`]);
  answerListings(world.bucket, () => page({ keys: [...lures, KERNEL, ROOTFS] }));
  await assertBundle(world, await world.ensure());
  const asked = world.bucket.requests.filter((line) => line.startsWith('GET '));
  assert.deepEqual(asked.sort(), [`GET ${ROOTFS}`, `GET ${KERNEL}`]);
});

test('N29: of a key that is taken every segment is encoded', async (t) => {
  const world = await bucketWorld(t);
  const key = `${SET}ubuntu-99 +#?%41\u00e9.squashfs`;
  world.bucket.put(key, 'hsqs, and more');
  const bundle = await world.ensure();
  assert.equal(await readFile(bundle.rootfsPath, 'utf8'), 'hsqs, and more');
  assert.match(bundle.rootfsPath, /\/ubuntu-99[\w.-]*\.squashfs$/);
  assert.ok(world.bucket.requests.includes(`GET ${key}`));
});

test('N30: an object that was replaced after it was listed is looked up again once', async (t) => {
  const world = await bucketWorld(t);
  const { content } = world.bucket.object(KERNEL);
  const other = Buffer.from(content);
  other.write('another build of it', 100);
  once(world.bucket, `/${KERNEL}`, () => world.bucket.put(KERNEL, other));
  const bundle = await world.ensure();
  assert.ok((await readFile(bundle.kernelImagePath)).equals(other));
  assert.equal(world.bucket.requests.filter((line) => line === `GET ${KERNEL}`).length, 2);
  assert.equal(world.bucket.requests.filter((line) => line.startsWith('LIST ')).length, 2);
  assert.deepEqual(await world.leftovers(), []);
});

test('N30: an object that changes with every look is told as that', async (t) => {
  const world = await bucketWorld(t);
  let round = 0;
  world.bucket.intercept = (request) => {
    if (request.url?.endsWith(`/${KERNEL}`) === true) world.bucket.put(KERNEL, `\u007fELF build ${(round += 1)}`);
    return false;
  };
  const host = new URL(world.bucket.bucketUrl).host;
  await assertTold(world, { cause: 'TRANSFER_STATUS', host, says: /vmlinux-6\.1\.155 .*412/ });
  assert.equal(round, 2);
  await assertOnlyContinuable(world);
});

test('N30: where an object is gone since it was listed, what is there now is taken', async (t) => {
  const world = await bucketWorld(t);
  once(world.bucket, `/${KERNEL}`, () => world.bucket.remove(KERNEL));
  const { kernelImagePath } = await world.ensure();
  assert.match(kernelImagePath, /\/vmlinux-5\.10\.245$/);
  assert.equal(world.bucket.requests.filter((line) => line.startsWith('LIST ')).length, 2);
});

test('N30: an object that is listed and never there is told with its address', async (t) => {
  const world = await bucketWorld(t);
  let asked = 0;
  world.bucket.intercept = (request, response) => {
    if (request.url?.endsWith(`/${KERNEL}`) !== true) return false;
    asked += 1;
    response.writeHead(404).end();
    return true;
  };
  const host = new URL(world.bucket.bucketUrl).host;
  await assertTold(world, { cause: 'TRANSFER_STATUS', host, says: /vmlinux-6\.1\.155 .*404/ });
  assert.equal(asked, 2);
  await assertOnlyContinuable(world);
});

test('N31: kernel and root file system come from one set, though a newer one has half of them', async (t) => {
  const world = await bucketWorld(t, { reference: undefined, preset: 'stable' });
  world.bucket.put('firecracker-ci/20990101-0123456789ab-0/x86_64/vmlinux-6.1.999', '\u007fELF newer');
  const { source } = await world.ensure();
  assert.ok(source.type === 'firecracker-ci');
  for (const key of [source.kernelKey, source.rootfsKey]) assert.ok(key.startsWith(source.prefix), key);
  assert.match(source.prefix, /^firecracker-ci\/20261008-/);
});

test('N31: a set that is replaced while it is fetched is fetched as it is then, kernel and root file system', async (t) => {
  const world = await bucketWorld(t);
  const day = { lastModified: '2027-01-01T12:00:00.000Z' };
  once(world.bucket, `/${ROOTFS}`, () => {
    world.bucket.put(KERNEL, '\u007fELF of another day', day);
    world.bucket.put(ROOTFS, 'hsqs of another day', day);
  });
  const bundle = await world.ensure();
  assert.equal(await readFile(bundle.kernelImagePath, 'utf8'), '\u007fELF of another day');
  assert.equal(await readFile(bundle.rootfsPath, 'utf8'), 'hsqs of another day');
});

for (const [what, leadsTo] of [
  ['another host', (elsewhere: string) => `${elsewhere}/firecracker-microvm/firecracker/releases/tag/v1.99.0`],
  ['a pre-release', () => '/firecracker-microvm/firecracker/releases/tag/v1.99.0-rc1'],
  ['a page that names none', () => '/firecracker-microvm/firecracker/releases'],
] as const) {
  test(`N32: a releases page that leads to ${what} names no release`, async (t) => {
    const elsewhere = await startFaultyServer({ scripts: { '*': [htmlPage()] } });
    t.after(() => elsewhere.close());
    const world = await bucketWorld(t, { reference: undefined, preset: 'latest' });
    world.bucket.intercept = (request, response) => {
      if (request.url?.endsWith('/releases/latest') !== true) return false;
      response.writeHead(302, { location: leadsTo(elsewhere.origin) }).end();
      return true;
    };
    const host = new URL(world.bucket.releasesUrl).host;
    await assertTold(world, { code: 'VERSION_FETCH_FAILED', cause: 'VERSION_FETCH_FAILED', host, says: /leads to/ });
    assert.ok(!world.bucket.requests.some((line) => line.startsWith('LIST ')));
  });
}

for (const status of [429, 503]) {
  test(`N32: a releases page that answers ${status} is tried again, and told with the way on`, async (t) => {
    const world = await bucketWorld(t, { reference: undefined, preset: 'latest' });
    let asked = 0;
    world.bucket.intercept = (request, response) => {
      if (request.url?.includes('/releases') !== true) return false;
      asked += 1;
      response.writeHead(status).end();
      return true;
    };
    const host = new URL(world.bucket.releasesUrl).host;
    await assertTold(world, { code: 'VERSION_FETCH_FAILED', cause: 'TRANSFER_STATUS', host, tries: 2 });
    assert.equal(asked, 2);
  });
}

test('N32: releases are compared as numbers, and going back from one to an older one is said aloud', async (t) => {
  const world = await bucketWorld(t, { reference: undefined, preset: 'latest' });
  for (const release of ['v1.9', 'v1.10']) {
    for (const name of ['vmlinux-6.1.102', 'ubuntu-24.04.squashfs']) {
      world.bucket.put(`firecracker-ci/${release}/x86_64/${name}`, `${release} ${name}`);
    }
  }
  world.bucket.release = 'v1.9.0';
  assert.equal((await world.ensure()).ciVersion, 'v1.9');
  world.bucket.release = 'v1.10.0';
  assert.equal((await world.ensure()).ciVersion, 'v1.10');
  assert.deepEqual(world.warnings, []);
  world.bucket.release = 'v1.9.0';
  await world.ensure();
  assert.match(world.warnings.join('\n'), /v1\.9\.0.*v1\.10\.0|v1\.10\.0.*v1\.9\.0/);
});

interface BucketWorld extends Managed {
  readonly bucket: FakeBucket;
}

/** A manager and a bucket, asked for the set `v1.15` where nothing else is said. */
async function bucketWorld(
  t: TestContext,
  asking: EnsureBaseImageOptions = {},
  options: BaseImageManagerOptions = {},
): Promise<BucketWorld> {
  const bucket = await startCiBucket();
  t.after(() => bucket.close());
  const { bucketUrl, releasesUrl } = bucket;
  const manager = { bucketUrl, releasesUrl, maxStoredBaseImages: 10, ...options };
  return { bucket, ...(await managerOf(t, manager, { reference: 'v1.15', ...asking })) };
}

async function assertBundle({ bucket, leftovers }: BucketWorld, bundle: Bundle): Promise<void> {
  assert.equal(bundle.bundleId, BUNDLE_ID);
  assert.ok((await readFile(bundle.kernelImagePath)).equals(bucket.object(KERNEL).content));
  assert.ok((await readFile(bundle.rootfsPath)).equals(bucket.object(ROOTFS).content));
  assert.deepEqual(await leftovers(), []);
}

/** Fails the test unless the listing was refused, and nothing of the bucket was asked for besides. */
async function assertRefused(world: BucketWorld, says: RegExp): Promise<void> {
  const code = 'BASE_IMAGE_RESOLVE_FAILED';
  await assertTold(world, { code, cause: code, host: new URL(world.bucket.bucketUrl).host, says });
  assert.ok(!world.bucket.requests.some((line) => line.startsWith('GET ')));
  assert.deepEqual(await world.leftovers(), []);
}

/** Answers listings itself; returns the tokens that were asked for. */
function answerListings(bucket: FakeBucket, answer: (token: string | undefined) => string): (string | undefined)[] {
  const tokens: (string | undefined)[] = [];
  bucket.intercept = (request: IncomingMessage, response: ServerResponse) => {
    const { searchParams } = new URL(request.url ?? '/', bucket.bucketUrl);
    if (!searchParams.has('list-type')) return false;
    const token = searchParams.get('continuation-token') ?? undefined;
    tokens.push(token);
    response.setHeader('content-type', 'application/xml').end(answer(token));
    return true;
  };
  return tokens;
}

/** Calls `change` before the first request for this path is answered. */
function once(bucket: FakeBucket, path: string, change: () => void): void {
  bucket.intercept = (request) => {
    if (request.url?.endsWith(path) === true) {
      bucket.intercept = () => false;
      change();
    }
    return false;
  };
}

/** A page of a listing whose objects all have the size of what lies in the bucket, and no ETag. */
function page({ keys, next }: { readonly keys: readonly string[]; readonly next?: string }): string {
  const contents = keys.map((key) => {
    const modified = '<LastModified>2025-12-18T12:00:00.000Z</LastModified>';
    return `<Contents><Key>${key}</Key>${modified}<Size>4096</Size></Contents>`;
  });
  const more = next === undefined ? '' : `<NextContinuationToken>${next}</NextContinuationToken>`;
  return `<ListBucketResult><IsTruncated>${next !== undefined}</IsTruncated>${more}${contents.join('')}</ListBucketResult>`;
}
