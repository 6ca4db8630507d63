import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import test from 'node:test';
import { putImage, serve, silence, startFaultyServer, status, truncate } from 'smartvm/testing';
import { startAuthority } from '../support/authority.ts';
import { CONTENT, ask, serverFor, talk } from './raw-client.fixture.ts';

const etagOf = (head: string): string => /^etag: (.*)$/im.exec(head)?.[1] ?? '';

test('a file is served with its length, a strong ETag and ranges, and the connection stays open', async (t) => {
  const server = await serverFor(t);
  const { head, body, end } = await ask(server, '/f', { keepAlive: true });
  assert.match(head, /^HTTP\/1\.1 200 OK\r\n/);
  assert.match(head, /\r\nContent-Length: 2600(\r\n|$)/);
  assert.match(etagOf(head), /^"[0-9a-f]{32}"$/);
  assert.match(head, /\r\nAccept-Ranges: bytes/);
  assert.equal(body, CONTENT);
  assert.equal(end, 'open');
});

for (const [range, said, expected] of [
  ['bytes=10-19', 'bytes 10-19/2600', CONTENT.slice(10, 20)],
  ['bytes=2590-', 'bytes 2590-2599/2600', CONTENT.slice(2590)],
  ['bytes=2590-9999', 'bytes 2590-2599/2600', CONTENT.slice(2590)],
  ['bytes=-5', 'bytes 2595-2599/2600', CONTENT.slice(-5)],
] as const) {
  test(`the range ${range} is served as 206 with ${said}`, async (t) => {
    const { head, body } = await ask(await serverFor(t), '/f', { headers: [`Range: ${range}`] });
    assert.match(head, /^HTTP\/1\.1 206 /);
    assert.match(head, new RegExp(`\r\nContent-Range: ${said}\r\n`));
    assert.equal(body, expected);
  });
}

for (const range of ['bytes=5-2', 'bytes=-', 'bytes=1-2,4-5', 'lines=1-2']) {
  test(`the range ${range} is as good as none`, async (t) => {
    const { head, body } = await ask(await serverFor(t), '/f', { headers: [`Range: ${range}`] });
    assert.match(head, /^HTTP\/1\.1 200 /);
    assert.equal(body, CONTENT);
  });
}

test('a range behind the end is answered with 416 and the size', async (t) => {
  const { head } = await ask(await serverFor(t), '/f', { headers: ['Range: bytes=2600-'] });
  assert.match(head, /^HTTP\/1\.1 416 /);
  assert.match(head, /Content-Range: bytes \*\/2600/);
});

test('If-Range gives the range of the same file, and all of another one', async (t) => {
  const server = await serverFor(t);
  const etag = etagOf((await ask(server)).head);
  const part = await ask(server, '/f', { headers: ['Range: bytes=0-9', `If-Range: ${etag}`] });
  assert.match(part.head, /^HTTP\/1\.1 206 /);
  for (const other of ['"other"', `W/${etag}`, 'Mon, 01 Jan 2024 00:00:00 GMT']) {
    const whole = await ask(server, '/f', { headers: ['Range: bytes=0-9', `If-Range: ${other}`] });
    assert.match(whole.head, /^HTTP\/1\.1 200 /, other);
  }
});

test('If-Match is answered with 412 for another file, If-None-Match with 304 for the same', async (t) => {
  const server = await serverFor(t);
  const etag = etagOf((await ask(server)).head);
  const statusOf = async (field: string): Promise<string> =>
    (await ask(server, '/f', { headers: [field] })).head.slice(9, 12);
  assert.equal(await statusOf(`If-Match: "x", ${etag}`), '200');
  assert.equal(await statusOf('If-Match: *'), '200');
  assert.equal(await statusOf('If-Match: "x"'), '412');
  assert.equal(await statusOf(`If-Match: W/${etag}`), '412');
  assert.equal(await statusOf(`If-None-Match: W/${etag}`), '304');
  assert.equal(await statusOf('If-None-Match: "x"'), '200');
});

test('HEAD has the head alone; what is not there is 404; other methods are 405', async (t) => {
  const server = await serverFor(t);
  const { head, body } = await ask(server, '/f', { method: 'HEAD' });
  assert.match(head, /Content-Length: 2600/);
  assert.equal(body, '');
  assert.match((await ask(server, '/other')).head, /^HTTP\/1\.1 404 /);
  assert.match((await ask(server, '/f', { method: 'DELETE' })).head, /^HTTP\/1\.1 405 /);
});

test('requests come one after another over one connection, their bodies passed over, and the client may close it', async (t) => {
  const server = await serverFor(t, { files: { '/a': 'one', '/b': 'two' } });
  const posted = 'POST /a HTTP/1.1\r\nContent-Length: 4\r\n\r\nGET ';
  const { text, end } = await talk(
    server,
    `GET /a HTTP/1.1\r\n\r\n${posted}GET /b?x=1 HTTP/1.1\r\nConnection: close\r\n\r\n`,
  );
  assert.match(text, /one.*405 .*two$/s);
  assert.equal(end, 'FIN');
  assert.deepEqual(
    server.requests.map(({ method, path, query, connection }) => [method, path, query, connection]),
    [
      ['GET', '/a', '', 1],
      ['POST', '/a', '', 1],
      ['GET', '/b', '?x=1', 1],
    ],
  );
});

test('a script says what happens to the first, the second and all other requests of a path, and begins anew when it is set', async (t) => {
  const server = await serverFor(t, { scripts: { '/f': [status(503), truncate({ afterBytes: 3 }), serve()] } });
  const bodies = async (count: number): Promise<string[]> => {
    const found: string[] = [];
    for (let index = 0; index < count; index += 1) found.push((await ask(server)).body.slice(0, 10));
    return found;
  };
  assert.deepEqual(await bodies(4), ['status 503', 'abc', 'abcdefghij', 'abcdefghij']);
  server.script('/f', [status(500)]);
  assert.deepEqual(await bodies(2), ['status 500', 'status 500']);
  server.script('/f', []);
  assert.deepEqual(await bodies(1), ['abcdefghij']);
});

test('the script of * is for every path that has none of its own', async (t) => {
  const server = await serverFor(t);
  server.put('/g', 'g');
  server.script('/g', [serve()]);
  server.script('*', [status(500)]);
  assert.match((await ask(server)).head, / 500 /);
  assert.equal((await ask(server, '/g')).body, 'g');
});

test('requests tell what was asked, and how much of the body was sent; connections are counted', async (t) => {
  const server = await serverFor(t, { scripts: { '/f': [truncate({ afterBytes: 100 }), serve()] } });
  await ask(server, '/f', { headers: ['Range: bytes=1-', 'X-Own:  value '] });
  await Promise.all([ask(server), ask(server)]);
  const [first, ...others] = server.requestsFor('/f');
  assert.equal(first?.range, 'bytes=1-');
  assert.equal(first.headers['x-own'], 'value');
  assert.equal(first.bytesSent, 100);
  assert.deepEqual(
    others.map(({ number, bytesSent }) => [number, bytesSent]),
    [
      [2, 2600],
      [3, 2600],
    ],
  );
  assert.equal(server.connections.total, 3);
  assert.equal(server.connections.most, 2);
});

test('files are put and removed while it runs', async (t) => {
  const server = await serverFor(t);
  const address = server.put('/new file', { content: Buffer.from('new'), etag: '"mine"', contentType: 'text/x' });
  assert.equal(address, `${server.origin}/new file`);
  const { head, body } = await ask(server, '/new%20file');
  assert.match(head, /Content-Type: text\/x\r\nETag: "mine"/);
  assert.equal(body, 'new');
  server.remove('/f');
  assert.match((await ask(server)).head, / 404 /);
});

test('it speaks TLS with a key and a certificate, and breaks off under it', async (t) => {
  const authority = await startAuthority();
  t.after(() => authority.close());
  const server = await serverFor(t, { tls: await authority.selfSigned('127.0.0.1') });
  assert.match(server.origin, /^https:\/\/127\.0\.0\.1:\d+$/);
  assert.equal((await ask(server, '/f', { enoughBytes: 2600 })).body.slice(0, 3), 'abc');
  server.script('/f', [truncate({ afterBytes: 10 })]);
  const { body, end } = await ask(server, '/f');
  assert.deepEqual([body, end], ['abcdefghij', 'FIN']);
});

test('putImage serves an image and the manifest of it', async (t) => {
  const server = await serverFor(t);
  const address = putImage(server, { kernel: 'a kernel', rootfs: 'a root', fields: { arch: 'aarch64' } });
  assert.equal(address, `${server.origin}/image.json`);
  const manifest = JSON.parse((await ask(server, '/image.json')).body) as Record<string, unknown>;
  assert.equal(manifest['arch'], 'aarch64');
  assert.deepEqual(manifest['kernel'], {
    url: `${server.origin}/vmlinux`,
    sha256: createHash('sha256').update('a kernel').digest('hex'),
    sizeBytes: 8,
  });
  assert.equal((await ask(server, '/rootfs')).body, 'a root');
});

test('a closed server leaves nothing: it waits for no client, and is closed by `await using` too', async () => {
  const server = await startFaultyServer({ files: { '/f': CONTENT }, scripts: { '/f': [silence()] } });
  const asked = ask(server);
  while (server.requests.length === 0) await new Promise((resolve) => setTimeout(resolve, 2));
  await server[Symbol.asyncDispose]();
  assert.notEqual((await asked).end, 'open');
  assert.equal(server.connections.open, 0);
});

test('a behaviour that throws is told when the server is closed', async () => {
  const server = await startFaultyServer({ files: { '/f': CONTENT } });
  server.script('/f', [
    {
      answer: () => {
        throw new Error('a mistake in the script');
      },
    },
  ]);
  assert.notEqual((await ask(server)).end, 'open');
  await assert.rejects(server.close(), /a mistake in the script/);
});
