import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, readFile, readdir, rename, utimes, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { BaseImageManager, type EnsureBaseImageOptions, type ProgressEvent } from 'smartvm';
import { strace } from '../support/abilities.ts';
import { startHttpServer } from '../support/http-server.ts';
import { startRawServer } from '../support/raw-server.ts';
import { rejection } from '../support/rejection.ts';
import {
  FACTS,
  KERNEL,
  ROOTFS,
  bucketWorld,
  digestOf,
  manifestWorld,
  startWeb,
  worldOf,
  type Fields,
} from './contract.fixture.ts';

const run = promisify(execFile);
const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const SET = ['v1.15/x86_64/vmlinux-6.1.155', 'v1.15/x86_64/ubuntu-24.04.squashfs'];

test('W14: a transfer that is cut goes on where it was', async (t) => {
  const server = await startRawServer((socket, head) => {
    const from = Number(/range: bytes=(\d+)-/i.exec(head)?.[1] ?? 0);
    const rest = KERNEL.subarray(from);
    const range = from === 0 ? '' : `Content-Range: bytes ${from}-${KERNEL.byteLength - 1}/${KERNEL.byteLength}\r\n`;
    const status = from === 0 ? '200 OK' : '206 Partial Content';
    socket.write(
      `HTTP/1.1 ${status}\r\nETag: "k"\r\n${range}Content-Length: ${rest.byteLength}\r\nConnection: close\r\n\r\n`,
    );
    socket.end(from === 0 ? rest.subarray(0, 20) : rest);
  });
  t.after(() => server.close());
  const { ensure } = await manifestWorld(t);
  const bundle = await ensure({ kernel: { url: `${server.origin}/vmlinux`, sha256: digestOf(KERNEL) } });
  assert.deepEqual(await readFile(bundle.kernelImagePath), KERNEL);
  assert.ok(server.requests.some((head) => /range: bytes=20-/i.test(head)));
});

test('W14: a server that is busy is asked again', async (t) => {
  let asked = 0;
  const server = await startHttpServer((_request, response) => {
    asked += 1;
    if (asked === 1) response.writeHead(503, { 'retry-after': '0' }).end();
    else response.end(KERNEL);
  });
  t.after(() => server.close());
  const { ensure } = await manifestWorld(t);
  await ensure({ kernel: { url: `${server.origin}/vmlinux`, sha256: digestOf(KERNEL) } });
  assert.equal(asked, 2);
});

test('W14: no more is taken than was promised, however much is sent', async (t) => {
  let sent = 0;
  const server = await startHttpServer((_request, response) => {
    const more = (): void => {
      while (!response.destroyed && sent < 500e6) {
        sent += 65536;
        if (!response.write(Buffer.alloc(65536))) return void response.once('drain', more);
      }
    };
    more();
  });
  t.after(() => server.close());
  const { ensure } = await manifestWorld(t);
  const url = `${server.origin}/vmlinux`;
  const failure = await rejection(ensure({ kernel: { url, sha256: digestOf(KERNEL), sizeBytes: 100_000 } }));
  assert.equal(failure.code, 'BASE_IMAGE_PREPARE_FAILED');
  assert.match(failure.message, /100000/);
  assert.ok(sent < 50e6, `${sent} bytes were sent`);
});

test('W14: a call that is cancelled ends at once with the reason of its signal, and leaves nothing', async (t) => {
  const server = await startHttpServer(() => undefined);
  t.after(() => server.close());
  const { ensure, images } = await manifestWorld(t);
  const stop = new AbortController();
  const call = ensure({ kernel: { url: `${server.origin}/k`, sha256: digestOf(KERNEL) } }, { signal: stop.signal });
  setTimeout(() => stop.abort(new DOMException('enough', 'AbortError')), 50);
  await assert.rejects(call, { name: 'AbortError', message: 'enough' });
  assert.deepEqual(await readdir(join(images.getCacheDir(), 'v1', 'staging')), []);
});

test('W14: progress is told as events', async (t) => {
  const events: ProgressEvent[] = [];
  const { ensure } = await manifestWorld(t, { onProgress: (event) => void events.push(event) });
  await ensure();
  const last = events.filter((event) => event.phase === 'fetch').at(-1);
  assert.ok(last?.phase === 'fetch' && last.bytes > 0 && last.totalBytes === last.bytes);
});

test('W15: a process that is killed while it fetches leaves nothing that the next one stumbles over', async (t) => {
  let isStalling = true;
  const server = await startHttpServer((request, response) => {
    const content = request.url === '/vmlinux' ? KERNEL : ROOTFS;
    if (!isStalling || request.url !== '/rootfs.ext4') return void response.end(content);
    response.writeHead(200, { 'content-length': content.byteLength });
    response.write(content.subarray(0, 10));
  });
  t.after(() => server.close());
  const { images, write, ensure, manifestPath } = await manifestWorld(t);
  const fields = {
    kernel: { url: `${server.origin}/vmlinux`, sha256: digestOf(KERNEL) },
    rootfs: { url: `${server.origin}/rootfs.ext4`, sha256: digestOf(ROOTFS) },
  };
  await write(fields);
  const staging = join(images.getCacheDir(), 'v1', 'staging');
  const args = ['--import', 'tsx', MAIN, 'ensure', manifestPath, '--cache-dir', images.getCacheDir()];
  const child = spawn(process.execPath, args, { stdio: 'ignore' });
  while ((await readdir(staging).catch(() => [])).length === 0) await sleep(20);
  child.kill('SIGKILL');
  await once(child, 'exit');
  isStalling = false;
  const bundle = await ensure(fields);
  assert.deepEqual(await readFile(bundle.rootfsPath), ROOTFS);
  assert.deepEqual(await readdir(staging), []);
});

test('W16: a page of a web site is no manifest, although its status is 200', async (t) => {
  const server = await startHttpServer((_request, response) => {
    response.setHeader('content-type', 'text/html').end('<html>log in</html>');
  });
  t.after(() => server.close());
  const { images } = await worldOf(t);
  const failure = await rejection(images.ensureBaseImage({ manifestUrl: `${server.origin}/m.json` }));
  assert.equal(failure.code, 'BASE_IMAGE_MANIFEST_FAILED');
  assert.ok(failure.message.includes(server.origin));
});

test('W16: an error page of the bucket is an error with its status, and not an empty bucket', async (t) => {
  const { bucket, images } = await bucketWorld(t, SET);
  bucket.intercept = (request, response) => {
    if (request.url?.includes('list-type') !== true) return false;
    response.writeHead(404, { 'content-type': 'application/xml' }).end('<Error><Code>NoSuchBucket</Code></Error>');
    return true;
  };
  const failure = await rejection(images.ensureBaseImage());
  assert.equal(failure.code, 'BASE_IMAGE_RESOLVE_FAILED');
  assert.match(failure.message, /404/);
});

test('W17: what stands behind a thousand other keys is found', async (t) => {
  const many = Array.from({ length: 1200 }, (_, i) => `v1.15/x86_64/aaa-${String(i).padStart(4, '0')}`);
  const { bucket, images } = await bucketWorld(t, [...many, ...SET]);
  assert.equal(bucket.pageSize, 1000);
  assert.equal(basename((await images.ensureBaseImage()).kernelImagePath), 'vmlinux-6.1.155');
});

test('W18: a bundle under lease is neither evicted nor removed', async (t) => {
  const { ensure, images } = await manifestWorld(t, { maxStoredBaseImages: 1 });
  const leased = await ensure({ bundleId: 'leased' });
  const record = join(leased.bundleDir, 'manifest.json');
  const holder = spawn('flock', ['--shared', record, 'sh', '-c', 'echo held; read line'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  await once(holder.stdout, 'data');
  try {
    await ensure({ bundleId: 'other' });
    assert.equal((await rejection(images.removeBaseImage(leased))).code, 'STORE_LOCKED');
    assert.deepEqual(await readFile(leased.kernelImagePath), KERNEL);
  } finally {
    holder.stdin.end('\n');
    await once(holder, 'exit');
  }
});

test('W18: a file that is open keeps its bytes while its bundle is fetched again', async (t) => {
  const { ensure, folder } = await manifestWorld(t);
  const bundle = await ensure();
  const handle = await open(bundle.kernelImagePath);
  try {
    await writeFile(join(folder, 'vmlinux'), 'x');
    await ensure({}, { forceDownload: true });
    await ensure({ kernel: { path: 'rootfs.ext4' } }, { forceDownload: true });
    assert.deepEqual(await handle.readFile(), KERNEL);
  } finally {
    await handle.close();
  }
});

for (const fields of [
  { kernel: null },
  { kernel: undefined },
  { kernel: { path: 7 } },
  { kernel: { path: 'vmlinux', fileName: 7 } },
  { bundleId: 7 },
  { bundleId: 'x'.repeat(300) },
  { rootfs: { path: 'x\0y' } },
  { rootfs: { path: 'x'.repeat(5000) } },
] as readonly Fields[]) {
  test(`W19: a manifest with ${JSON.stringify(fields).slice(0, 60)} is one coded error that names the field`, async (t) => {
    const { ensure } = await manifestWorld(t);
    const failure = await rejection(ensure(fields));
    assert.equal(failure.code, 'INVALID_BASE_IMAGE_MANIFEST');
    assert.ok(failure.message.includes(Object.keys(fields)[0] ?? ''));
  });
}

test('W19: all faults of a manifest are told at once', async (t) => {
  const { ensure } = await manifestWorld(t);
  const { message } = await rejection(ensure({ schemaVersion: 2, bundleId: '..', rootfsType: 'btrfs', kernel: {} }));
  for (const field of ['schemaVersion', 'bundleId', 'rootfsType', 'kernel']) assert.ok(message.includes(field), field);
});

test('W20: what is given on a call beats what the manager has', async (t) => {
  const own = await manifestWorld(t);
  await own.write({ bundleId: 'of-the-manager' });
  const web = await startWeb(t, { '/vmlinux': KERNEL, '/rootfs.ext4': ROOTFS });
  const at = (name: string, content: Buffer): object => ({ url: `${web.origin}/${name}`, sha256: digestOf(content) });
  const files = { kernel: at('vmlinux', KERNEL), rootfs: at('rootfs.ext4', ROOTFS) };
  web.files.set('/m.json', JSON.stringify({ ...FACTS, bundleId: 'of-the-call', ...files }));
  const cacheDir = own.images.getCacheDir();
  const images = new BaseImageManager({ cacheDir, hostedManifestPath: own.manifestPath });
  const bundle = await images.ensureBaseImage({ manifestUrl: `${web.origin}/m.json` });
  assert.equal(bundle.bundleId, 'of-the-call');
  assert.ok(bundle.source.type === 'hosted-manifest' && bundle.source.manifestPath === undefined);
});

test('W20: options that contradict each other are refused with both names', async (t) => {
  const { images, manifestPath } = await manifestWorld(t);
  for (const call of [
    { preset: 'latest', manifestPath },
    { reference: 'latest', manifestPath },
    { reference: 'latest', preset: 'lts' },
  ] as const) {
    const failure = await rejection(images.ensureBaseImage(call));
    assert.equal(failure.code, 'INVALID_BASE_IMAGE_OPTIONS');
    for (const name of Object.keys(call)) assert.ok(failure.message.includes(name), `${name}: ${failure.message}`);
  }
});

test('W21: an image that is wanted again soon after it had to go is told, with the setting', async (t) => {
  const { ensure, warnings } = await manifestWorld(t, { maxStoredBaseImages: 2 });
  for (const bundleId of ['a', 'b', 'c']) await ensure({ bundleId });
  warnings.length = 0;
  await ensure({ bundleId: 'a' });
  assert.match(warnings[0] ?? '', /a is fetched again 0 min after it was removed.*maxStoredBaseImages/);
});

test('W21: a number of bytes may be the limit', async (t) => {
  const bytes = KERNEL.byteLength + ROOTFS.byteLength;
  const { ensure, folder, images } = await manifestWorld(t, { maxStoredBaseImages: 100, maxStoredBytes: 2 * bytes });
  for (const bundleId of ['a', 'b', 'c']) {
    await writeFile(join(folder, 'vmlinux'), Buffer.concat([KERNEL.subarray(1), Buffer.from(bundleId)]));
    await writeFile(join(folder, 'rootfs.ext4'), Buffer.concat([ROOTFS.subarray(1), Buffer.from(bundleId)]));
    await ensure({ bundleId });
    await sleep(15);
  }
  assert.deepEqual((await images.listBaseImages()).map(({ bundleId }) => bundleId).sort(), ['b', 'c']);
});

test('W22: of bundles with times of use that are no times, or lie ahead, none is kept for that', async (t) => {
  const { ensure, images } = await manifestWorld(t, { maxStoredBaseImages: 3 });
  const bundles = [];
  for (const bundleId of ['a', 'b', 'c']) bundles.push(await ensure({ bundleId }));
  const ahead = new Date('2080-01-01');
  await utimes(join(images.getCacheDir(), 'v1', 'used', basename(bundles[2]?.bundleDir ?? '')), ahead, ahead);
  await ensure({ bundleId: 'a' });
  assert.deepEqual(
    (await images.pruneBaseImages({ keep: 2, dryRun: true })).removed.map(({ bundleId }) => bundleId),
    ['c'],
  );
});

test('W23: a hit reads no byte of the images', strace, async (t) => {
  const { ensure, folder, images, manifestPath } = await manifestWorld(t);
  const { kernelImagePath, rootfsPath } = await ensure();
  const log = join(folder, 'strace.log');
  const again = [
    process.execPath,
    '--import',
    'tsx',
    MAIN,
    'ensure',
    manifestPath,
    '--cache-dir',
    images.getCacheDir(),
  ];
  await run('strace', ['-f', '-e', 'trace=openat,open', '-o', log, ...again]);
  const opened = await readFile(log, 'utf8');
  assert.ok(opened.includes('manifest.json'));
  for (const path of [kernelImagePath, rootfsPath]) assert.ok(!opened.includes(`"${path}"`), path);
});

for (const call of [{ preset: 'latset' }, { preset: 'LATEST' }, { arch: 'x64' }, { arch: 'amd64' }]) {
  test(`W24: ${JSON.stringify(call)} is refused with what there is`, async (t) => {
    const { images } = await worldOf(t);
    const failure = await rejection(images.ensureBaseImage(call as unknown as EnsureBaseImageOptions));
    assert.equal(failure.code, 'INVALID_BASE_IMAGE_OPTIONS');
    assert.match(failure.message, 'preset' in call ? /latest, stable, lts/ : /x86_64, aarch64/);
  });
}

test('W25: a cache that was moved is as good as before', async (t) => {
  const { ensure, folder, images, manifestPath } = await manifestWorld(t);
  const first = await ensure();
  await rename(images.getCacheDir(), join(folder, 'elsewhere'));
  const moved = new BaseImageManager({ cacheDir: join(folder, 'elsewhere') });
  assert.equal((await moved.ensureBaseImage({ manifestPath })).createdAt, first.createdAt);
  assert.equal((await moved.verifyBaseImages()).ok, true);
});

test('W26: a relative cacheDir stays where it was when the process goes elsewhere', async (t) => {
  const { folder, manifestPath, write } = await manifestWorld(t);
  await write();
  const home = process.cwd();
  t.after(() => process.chdir(home));
  process.chdir(folder);
  const images = new BaseImageManager({ cacheDir: 'relative' });
  process.chdir('/');
  const { bundleDir } = await images.ensureBaseImage({ manifestPath });
  assert.ok(bundleDir.startsWith(join(folder, 'relative')));
  assert.equal(images.getCacheDir(), join(folder, 'relative'));
});

test('W27: every failure keeps its cause, down to the first', async (t) => {
  const { ensure } = await manifestWorld(t);
  const failure = await rejection(ensure({ kernel: { url: 'http://127.0.0.1:1/k', sha256: digestOf(KERNEL) } }));
  const codes = [];
  for (let one: unknown = failure; one instanceof Error; one = one.cause) {
    codes.push('code' in one ? one.code : undefined);
  }
  assert.deepEqual(codes.slice(0, 2), ['BASE_IMAGE_PREPARE_FAILED', 'TRANSFER_NETWORK']);
  assert.ok(codes.includes('ECONNREFUSED'), String(codes));
});

test('W27: a cache that cannot be read is an error and not an empty one', async (t) => {
  const { ensure, images } = await manifestWorld(t);
  await ensure();
  const bundles = join(images.getCacheDir(), 'v1', 'bundles');
  await rename(bundles, `${bundles}.kept`);
  await writeFile(bundles, 'a file where the bundles should be');
  const failure = await rejection(images.listBaseImages());
  assert.equal(failure.code, 'STORE_UNREADABLE');
  assert.ok(failure.cause instanceof Error);
});
