import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import type { SmartVMError } from '../../src/errors.ts';
import type { Arch, ResolvedImage } from '../../src/image.ts';
import { createSource } from '../../src/sources/firecracker-ci.ts';
import {
  HALF_UPLOADED_SET,
  NEWEST_AARCH64_SET,
  NEWEST_X86_64_SET,
  REAL_FACTS,
  startCiBucket,
  useRealFacts,
} from '../support/ci-bucket.ts';
import { startFakeBucket, type FakeBucket } from '../support/fake-bucket.ts';
import { contextOf, type KeptContext } from '../support/images.ts';
import { rejection } from '../support/rejection.ts';

test('latest is the folder of the newest release when that holds a kernel and a root file system', async (t) => {
  const { bucket, resolve } = await setUp(t);
  bucket.release = 'v1.15.1';
  const { facts, artifacts } = await resolve('latest');
  assert.deepEqual(facts, {
    reference: 'latest',
    preset: 'latest',
    bundleId: 'latest-v1.15-x86_64-vmlinux-6.1.155-ubuntu-24.04.squashfs',
    arch: 'x86_64',
    ciVersion: 'v1.15',
    firecrackerVersion: 'v1.15.1',
    rootfsType: 'squashfs',
    rootfsIsReadOnly: true,
    bootArgs: 'console=ttyS0 reboot=k panic=1 pci=off ro rootfstype=squashfs',
    source: {
      type: 'firecracker-ci',
      bucketUrl: bucket.bucketUrl,
      prefix: 'firecracker-ci/v1.15/x86_64/',
      kernelKey: 'firecracker-ci/v1.15/x86_64/vmlinux-6.1.155',
      rootfsKey: 'firecracker-ci/v1.15/x86_64/ubuntu-24.04.squashfs',
    },
    trust: 'first-use',
  });
  assert.equal(artifacts.kernel.fileName, 'vmlinux-6.1.155');
  assert.equal(artifacts.rootfs.fileName, 'ubuntu-24.04.squashfs');
  assert.deepEqual(bucket.requests, [
    'HEAD releases/latest',
    'HEAD releases/tag/v1.15.1',
    'LIST firecracker-ci/v1.15/x86_64/',
  ]);
});

test('latest is the newest complete dated set when the release has no folder; a half-uploaded one is passed over', async (t) => {
  const { bucket, resolve, context } = await setUp(t);
  const { facts } = await resolve('latest');
  assert.equal(facts.ciVersion, NEWEST_X86_64_SET);
  assert.equal(facts.firecrackerVersion, 'v1.17.0');
  assert.equal(facts.bundleId, `latest-${NEWEST_X86_64_SET}-x86_64-vmlinux-6.18.51-ubuntu-24.04.squashfs`);
  assert.ok(bucket.requests.includes(`LIST firecracker-ci/${HALF_UPLOADED_SET}/x86_64/`));
  assert.deepEqual(context.warnings, []);
});

test('complete means complete for the wanted architecture', async (t) => {
  const { resolve } = await setUp(t);
  const { facts } = await resolve('latest', 'aarch64');
  assert.equal(facts.ciVersion, NEWEST_AARCH64_SET);
  assert.equal(facts.bootArgs, 'keep_bootcon console=ttyS0 reboot=k panic=1 pci=off ro rootfstype=squashfs');
});

test('latest is the newest complete older release folder, with a warning, when no dated set is complete', async (t) => {
  const { bucket, resolve, context } = await setUp(t);
  for (const name of bucket.keys()) if (/^firecracker-ci\/\d/.test(name)) bucket.remove(name);
  const { facts } = await resolve('latest');
  assert.equal(facts.ciVersion, 'v1.15');
  assert.equal(facts.firecrackerVersion, 'v1.17.0');
  assert.match(context.warnings.join(), /v1\.17.*taking v1\.15/);
});

test('a listing goes on over as many pages as it takes', async (t) => {
  const { bucket, resolve } = await setUp(t);
  bucket.pageSize = 2;
  const { facts } = await resolve('latest');
  assert.equal(facts.bundleId, `latest-${NEWEST_X86_64_SET}-x86_64-vmlinux-6.18.51-ubuntu-24.04.squashfs`);
  assert.ok(bucket.requests.filter((line) => line === 'LIST firecracker-ci/').length > 5);
});

test('lts is v1.7 for Firecracker v1.7.0, looks no release up, and warns that its support ended', async (t) => {
  const { bucket, resolve, context } = await setUp(t);
  const { facts } = await resolve('lts');
  assert.equal(facts.bundleId, 'lts-v1.7-x86_64-vmlinux-5.10.217-ubuntu-22.04.squashfs');
  assert.equal(facts.firecrackerVersion, 'v1.7.0');
  assert.equal(facts.preset, 'lts');
  assert.deepEqual(bucket.requests, ['LIST firecracker-ci/v1.7/x86_64/']);
  assert.match(context.warnings.join(), /2024-09-18/);
});

test('the kernel is the highest that the Firecracker release supports, not the highest of all', async (t) => {
  const { bucket, resolve } = await setUp(t);
  assert.match((await resolve('v1.7')).facts.bundleId, /vmlinux-5\.10\.217/);
  bucket.put('firecracker-ci/v1.15/x86_64/vmlinux-6.18.1', 'too new for v1.15');
  assert.match((await resolve('v1.15')).facts.bundleId, /vmlinux-6\.1\.155/);
});

test('where no kernel is supported the highest is taken, with a warning', async (t) => {
  const { bucket, resolve, context } = await setUp(t);
  const prefix = 'firecracker-ci/v1.20/x86_64/';
  for (const name of ['vmlinux-7.2.9', 'vmlinux-7.2.10', 'ubuntu-26.04.squashfs']) bucket.put(`${prefix}${name}`, name);
  assert.match((await resolve('v1.20')).facts.bundleId, /vmlinux-7\.2\.10/);
  assert.match(context.warnings.join(), /7\.2\.9.*v1\.20\.0.*taking 7\.2\.10/);
});

test('a release folder is named by its version and carries the preset ci', async (t) => {
  const { resolve } = await setUp(t);
  const { facts } = await resolve('v1.10');
  assert.equal(facts.bundleId, 'ci-v1.10-x86_64-vmlinux-6.1.102-ubuntu-22.04.ext4');
  assert.equal(facts.preset, 'ci');
  assert.equal(facts.firecrackerVersion, 'v1.10.0');
  assert.equal(facts.rootfsType, 'ext4');
  assert.equal(facts.rootfsIsReadOnly, false);
  assert.equal(facts.bootArgs, 'console=ttyS0 reboot=k panic=1 pci=off');
});

test('a dated set named whole costs one listing and is for the oldest release that supports its kernel', async (t) => {
  const { bucket, resolve } = await setUp(t);
  const { facts } = await resolve('20260923-6f82ac4cf331-0');
  assert.equal(facts.bundleId, 'ci-20260923-6f82ac4cf331-0-x86_64-vmlinux-6.18.48-ubuntu-24.04.squashfs');
  assert.equal(facts.firecrackerVersion, 'v1.16.1');
  assert.deepEqual(bucket.requests, ['LIST firecracker-ci/20260923-6f82ac4cf331-0/x86_64/']);
});

test('of two sets of one day the one that was finished last is taken, whatever its hash', async (t) => {
  const { bucket, resolve } = await setUp(t);
  assert.equal((await resolve('20260708')).facts.ciVersion, '20260708-e8a198e23f48-0');
  for (const name of ['vmlinux-6.1.176', 'ubuntu-24.04.squashfs']) {
    const key = `firecracker-ci/20260708-f11c230ed107-0/x86_64/${name}`;
    bucket.put(key, bucket.object(key).content, { lastModified: '2026-07-09T01:00:00.000Z' });
  }
  assert.equal((await resolve('20260708')).facts.ciVersion, '20260708-f11c230ed107-0');
});

test('versions are compared as numbers: 5.10.217 is above 5.10.9, and 24.04 above 9.04', async (t) => {
  const bucket = await startFakeBucket();
  t.after(() => bucket.close());
  const names = [
    'vmlinux-5.10.9',
    'vmlinux-5.10.217',
    'vmlinux-5.4.300',
    'ubuntu-9.04.squashfs',
    'ubuntu-24.04.squashfs',
  ];
  for (const name of [...names, 'ubuntu-99.04.ext4']) bucket.put(`firecracker-ci/v1.9/x86_64/${name}`, name);
  const { facts } = await asking(bucket, contextOf())('v1.9');
  assert.equal(facts.bundleId, 'ci-v1.9-x86_64-vmlinux-5.10.217-ubuntu-24.04.squashfs');
});

test('sizes and ETags of the listing are carried into the artifacts', async (t) => {
  const { bucket, resolve } = await setUp(t);
  useRealFacts(bucket);
  const { artifacts } = await resolve('v1.15');
  const real = REAL_FACTS.find(({ key }) => key.endsWith('v1.15/x86_64/ubuntu-24.04.squashfs'));
  assert.equal(artifacts.rootfs.bytes, real?.listedBytes);
  assert.ok(artifacts.rootfs.identity.includes('0dc0850cb4f55566ac47ce94cd7703b2'));
  assert.equal(artifacts.rootfs.sha256, undefined);
});

test('an object that changed after it was listed is refused at once, and asking again may help', async (t) => {
  const { bucket, resolve, context } = await setUp(t);
  const { artifacts } = await resolve('v1.15');
  const key = 'firecracker-ci/v1.15/x86_64/vmlinux-6.1.155';
  bucket.put(key, Buffer.alloc(bucket.object(key).content.byteLength, 'x'));
  const error = await rejection(artifacts.kernel.open(context));
  assert.equal(error.code, 'TRANSFER_CHANGED');
  assert.match(error.message, /412.*listed with ETag "[0-9a-f]{32}"/);
  assert.equal(error.retryable, true);
  assert.equal(bucket.requests.filter((line) => line === `GET ${key}`).length, 1);
});

test('an object that is gone since it was listed is told with its address', async (t) => {
  const { bucket, resolve, context } = await setUp(t);
  const { artifacts } = await resolve('v1.15');
  bucket.remove('firecracker-ci/v1.15/x86_64/vmlinux-6.1.155');
  const error = await rejection(artifacts.kernel.open(context));
  assert.match(error.message, /v1\.15\/x86_64\/vmlinux-6\.1\.155 .*404/);
});

test('an empty folder is explained: what was listed, what was missing, and the way on', async (t) => {
  const { resolve } = await setUp(t);
  const error = await rejection(resolve('v1.16'));
  assert.equal(error.code, 'BASE_IMAGE_RESOLVE_FAILED');
  assert.match(error.message, /v1\.16 for x86_64.*firecracker-ci\/v1\.16\/x86_64\/ holds nothing/);
  assert.match(error.hint ?? '', /smartvm ensure/);
  const half = await rejection(resolve(HALF_UPLOADED_SET));
  assert.match(half.message, /no root file system.*among 2 objects/);
  const day = await rejection(resolve('20200101'));
  assert.match(day.message, /20200101-\* is no dated set/);
});

test('an empty bucket is explained', async (t) => {
  const bucket = await startFakeBucket();
  t.after(() => bucket.close());
  const error = await rejection(asking(bucket, contextOf())('latest'));
  assert.equal(error.code, 'BASE_IMAGE_RESOLVE_FAILED');
  assert.match(error.message, /v1\.17\/x86_64\/ holds nothing.*no dated set.*no set of a release before v1\.17/);
});

test('decoys beside the sets are never taken', async (t) => {
  const { bucket, resolve } = await setUp(t);
  for (const name of bucket.keys())
    if (/^firecracker-ci\/(?:\d{8}-[0-9a-f]{12}|v\d+\.\d+\/)/.test(name)) bucket.remove(name);
  assert.equal((await rejection(resolve('latest'))).code, 'BASE_IMAGE_RESOLVE_FAILED');
});

for (const key of [
  'firecracker-ci/v1.15/x86_64/debug/vmlinux-6.1.999',
  'firecracker-ci/v1.15/x86_64/../vmlinux-6.1.999',
  'firecracker-ci/v1.15/x86_64//vmlinux-6.1.999',
  'firecracker-ci/v1.15/x86_64/%2e%2e%2fvmlinux-6.1.999',
  'firecracker-ci/v1.15/x86_64/vmlinux-6.1.999-no-acpi',
  'firecracker-ci/v1.15/x86_64/vmlinux-6.1.999.config',
  'firecracker-ci/v1.15/x86_64/vmlinux-6.1.999\n',
  'firecracker-ci/v1.15/x86_64/bzImage-6.1.999',
  'firecracker-ci/v1.15/x86_64/vmlinux-6.1.९९९',
  'firecracker-ci/v1.15/x86_64/ubuntu-99.04/x.squashfs',
  'firecracker-ci/v1.15/x86_64/amazonlinux-2099.squashfs',
  'firecracker-ci/v1.15/aarch64/vmlinux-6.1.999',
]) {
  test(`a key like ${JSON.stringify(key)} is no candidate, also when the server ignores prefix and delimiter`, async (t) => {
    const { bucket, resolve } = await setUp(t);
    bucket.intercept = (request, response) => {
      if (request.url?.includes('list-type') !== true) return false;
      const keys = [
        key,
        'firecracker-ci/v1.15/x86_64/vmlinux-6.1.155',
        'firecracker-ci/v1.15/x86_64/ubuntu-24.04.squashfs',
      ];
      response.end(listing(keys.map((one) => contents(one)).join('')));
      return true;
    };
    assert.equal((await resolve('v1.15')).facts.bundleId, 'ci-v1.15-x86_64-vmlinux-6.1.155-ubuntu-24.04.squashfs');
  });
}

test('keys are decoded once and asked for with every segment encoded', async (t) => {
  const { bucket, resolve, context } = await setUp(t);
  const key = 'firecracker-ci/v1.15/x86_64/ubuntu-99 &amp;+#?%41é.squashfs';
  bucket.put(key, 'the root');
  const { artifacts, facts } = await resolve('v1.15');
  assert.equal(artifacts.rootfs.fileName, 'ubuntu-99__amp_____41_.squashfs');
  assert.match(facts.bundleId, /ubuntu-99__amp_____41_\.squashfs$/);
  const chunks: Uint8Array[] = [];
  for await (const chunk of await artifacts.rootfs.open(context)) chunks.push(chunk);
  assert.equal(Buffer.concat(chunks).toString(), 'the root');
});

for (const [what, body, said] of [
  ['an HTML page', '<html><body>log in</body></html>', /expected a ListBucketResult, got <html>/],
  [
    'an error of S3 with status 200',
    '<Error><Code>AccessDenied</Code><Message>no</Message></Error>',
    /AccessDenied: "no"/,
  ],
  ['a cut document', listing(contents('a')).slice(0, 90), /Failed to read the listing/],
  ['nothing', '', /Failed to read the listing/],
  ['plain text', 'not found', /Failed to read the listing/],
  ['a document type', `<!DOCTYPE x [<!ENTITY a "b">]>${listing(contents('&a;'))}`, /document type/],
  ['a size that is no number', listing(contents('a').replace('>8<', '>8x<')), /size of "a" is "8x"/],
  ['a size beyond safe integers', listing(contents('a').replace('>8<', '>9007199254740993<')), /size of "a"/],
  ['an object without a key', listing('<Contents><Size>8</Size></Contents>'), /<Contents> has no <Key>/],
  ['bytes that are no UTF-8', Buffer.concat([Buffer.from('<a>'), Buffer.from([0xff]), Buffer.from('</a>')]), /encod/],
  ['a NUL character', listing(contents('a\0b')), /Failed to read the listing/],
  ['nesting without end', '<a>'.repeat(400_000), /Failed to read the listing/],
  ['a cut listing without a token', listing(`<IsTruncated>true</IsTruncated>${contents('a')}`), /IsTruncated/],
] as const) {
  test(`${what} instead of a listing is one typed error`, async (t) => {
    const { bucket, resolve } = await setUp(t);
    answerListings(bucket, () => body);
    const error = await rejection(resolve('v1.15'));
    assert.equal(error.code, 'BASE_IMAGE_RESOLVE_FAILED');
    assert.match(error.message, said);
    assert.ok(error.cause instanceof Error);
  });
}

test('a page that leads back to itself is refused', async (t) => {
  const { bucket, resolve } = await setUp(t);
  answerListings(bucket, () =>
    listing('<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>'),
  );
  assert.match((await rejection(resolve('v1.15'))).message, /leads back to itself/);
});

test('a listing of more than 50 pages is given up', async (t) => {
  const { bucket, resolve } = await setUp(t);
  let page = 0;
  answerListings(bucket, () => {
    page += 1;
    return listing(`<IsTruncated>true</IsTruncated><NextContinuationToken>${page}</NextContinuationToken>`);
  });
  assert.match((await rejection(resolve('v1.15'))).message, /more than 50 pages/);
  assert.equal(page, 50);
});

test('a page above 8 MiB is refused', async (t) => {
  const { bucket, resolve } = await setUp(t);
  answerListings(bucket, () => listing(' '.repeat(8 * 1024 * 1024)));
  const error = await rejection(resolve('v1.15'));
  assert.equal((error.cause as SmartVMError).code, 'TRANSFER_TOO_LARGE');
});

for (const status of [403, 404]) {
  test(`a listing that is answered with ${status} is no empty bucket`, async (t) => {
    const { bucket, resolve } = await setUp(t);
    bucket.intercept = (request, response) => {
      if (request.url?.includes('list-type') !== true) return false;
      response.writeHead(status).end(listing(''));
      return true;
    };
    const error = await rejection(resolve('v1.15'));
    assert.equal(error.code, 'BASE_IMAGE_RESOLVE_FAILED');
    assert.match(error.message, new RegExp(`status ${status}`));
  });
}

for (const release of [
  'v1.17.0-rc1',
  'v1.17',
  '/firecracker-microvm/firecracker/releases',
  '/tag/v1.17.0/',
  '/releases/tag/v1.17.0?x',
]) {
  test(`a releases page that leads to ${release} names no release`, async (t) => {
    const { bucket, resolve } = await setUp(t);
    bucket.release = release;
    bucket.intercept = (request, response) => {
      if (request.url === new URL(bucket.releasesUrl).pathname || request.url?.startsWith('/spec') === true)
        return false;
      response.end();
      return true;
    };
    const error = await rejection(resolve('latest'));
    assert.equal(error.code, 'VERSION_FETCH_FAILED');
    assert.match(error.hint ?? '', /smartvm ensure v1\.15/);
  });
}

test('a releases page that leads to another host names no release', async (t) => {
  const { bucket, resolve } = await setUp(t);
  const other = await startFakeBucket();
  t.after(() => other.close());
  bucket.release = other.releasesUrl.replace('/latest', '/tag/v1.15.0');
  assert.equal((await rejection(resolve('latest'))).code, 'VERSION_FETCH_FAILED');
});

test('a releases page that cannot be reached is VERSION_FETCH_FAILED with its cause', async (t) => {
  const { bucket } = await setUp(t);
  const gone = await startFakeBucket();
  await gone.close();
  const source = createSource({ bucketUrl: bucket.bucketUrl, releasesUrl: gone.releasesUrl, allowHttp: [] });
  const signal = AbortSignal.timeout(20_000);
  const error = await rejection(source.resolve('latest', { ...contextOf(signal), arch: 'x86_64' }));
  assert.equal(error.code, 'VERSION_FETCH_FAILED');
  assert.equal((error.cause as SmartVMError).code, 'TRANSFER_NETWORK');
});

for (const locator of [
  '',
  'LATEST',
  'v1',
  'v1.7.0',
  'v1.15-vmclock',
  '2026',
  '20260923-6f82ac4cf331',
  '../x',
  'vTest',
]) {
  test(`${JSON.stringify(locator)} is no set`, async (t) => {
    const { bucket, resolve } = await setUp(t);
    assert.equal((await rejection(resolve(locator))).code, 'INVALID_BASE_IMAGE_REFERENCE');
    assert.deepEqual(bucket.requests, []);
  });
}

interface World {
  readonly bucket: FakeBucket;
  readonly context: KeptContext;
  readonly resolve: (locator: string, arch?: Arch) => Promise<ResolvedImage>;
}

async function setUp(t: TestContext): Promise<World> {
  const bucket = await startCiBucket();
  t.after(() => bucket.close());
  const context = contextOf();
  return { bucket, context, resolve: asking(bucket, context) };
}

function asking(bucket: FakeBucket, context: KeptContext): World['resolve'] {
  const source = createSource({ bucketUrl: bucket.bucketUrl, releasesUrl: bucket.releasesUrl, allowHttp: [] });
  return (locator, arch = 'x86_64') => source.resolve(locator, { ...context, arch });
}

function answerListings(bucket: FakeBucket, body: () => string | Buffer): void {
  bucket.intercept = (request, response) => {
    if (request.url?.includes('list-type') !== true) return false;
    response.end(body());
    return true;
  };
}

function listing(inside: string): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult>${inside}</ListBucketResult>`;
}

function contents(key: string): string {
  return `<Contents><Key>${key}</Key><ETag>&quot;e&quot;</ETag><Size>8</Size></Contents>`;
}
