import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import test from 'node:test';
import { gzipSync } from 'node:zlib';
import { SmartVMError } from '../../src/errors.ts';
import type { ByteRange, CompressedForm } from '../../src/image.ts';
import { unpackingOpener } from '../../src/unpack/unpack.ts';
import { UnpackedStream } from '../../src/unpack/unpacked-stream.ts';
import { contextOf, sha256Of } from '../support/images.ts';
import { rejection } from '../support/rejection.ts';
import { FORMATS, Source, allOf, bomb, here, pack, requireNothingSince } from './unpack.fixture.ts';

const PLAIN = Buffer.concat([randomBytes(200_000), Buffer.alloc(300_000)]);

/** A packed file that is what was promised of it, but for what is given. */
async function opened(
  source: Source,
  format: CompressedForm['format'],
  { plainBytes = PLAIN.byteLength, range, ...form }: Partial<CompressedForm> & Opening = {},
): Promise<UnpackedStream> {
  const open = unpackingOpener(() => Promise.resolve(source), {
    name: 'rootfs.ext4.packed',
    form: { format, ...form },
    plainBytes,
  });
  const stream = await open(contextOf(), range);
  assert.ok(stream instanceof UnpackedStream);
  return stream;
}

interface Opening {
  readonly plainBytes?: number;
  readonly range?: ByteRange;
}

for (const format of FORMATS) {
  const packed = pack(format, PLAIN);
  const sha256 = sha256Of(packed);
  const bytes = packed.byteLength;

  test(`${format}: what is packed is given plain, from where the packed bytes come, and cannot be continued`, async () => {
    const before = here();
    const stream = await opened(new Source(packed), format, { sha256, bytes });
    assert.ok((await allOf(stream)).equals(PLAIN));
    assert.equal(stream.source, 'images.example');
    assert.equal('validator' in stream, false);
    await requireNothingSince(before);
  });

  test(`${format}: an empty file may be packed`, async () => {
    const empty = pack(format, new Uint8Array(0));
    const stream = await opened(new Source(empty), format, { sha256: sha256Of(empty), plainBytes: 0 });
    assert.equal((await allOf(stream)).byteLength, 0);
  });

  test(`${format}: ten gibibytes of zeros that were said to be one mebibyte end there`, async () => {
    const zeros = bomb(format);
    const rssBefore = process.memoryUsage.rss();
    const source = new Source(zeros);
    const stream = await opened(source, format, { plainBytes: 1024 * 1024 });
    let givenBytes = 0;
    const error = await rejection(
      (async () => {
        for await (const chunk of stream) givenBytes += chunk.byteLength;
      })(),
    );
    assert.equal(error.code, 'TRANSFER_TOO_LARGE');
    assert.match(error.message, /rootfs\.ext4\.packed unpacks to 1\d{6} bytes or more, and 1048576 were promised/);
    assert.ok(givenBytes <= 1024 * 1024);
    assert.ok(process.memoryUsage.rss() - rssBefore < 64 * 1024 * 1024);
    assert.ok(source.isClosed && source.readBytes < zeros.byteLength / 2, `${source.readBytes} packed bytes were read`);
  });

  test(`${format}: what unpacks to less than was promised is refused`, async () => {
    const stream = await opened(new Source(packed), format, { sha256, plainBytes: PLAIN.byteLength + 1 });
    const error = await rejection(allOf(stream));
    assert.equal(error.code, 'TRANSFER_TRUNCATED');
    assert.match(error.message, /unpacks to 500000 bytes in all, and 500001 were promised/);
  });

  test(`${format}: packed bytes that are others than was promised are refused, although they unpack to the right ones`, async () => {
    const source = new Source(packed);
    const stream = await opened(source, format, { sha256: '0'.repeat(64) });
    const error = await rejection(allOf(stream));
    assert.equal(error.code, 'STORE_DIGEST_MISMATCH');
    assert.ok(error.message.includes('0'.repeat(64)) && error.message.includes(sha256), error.message);
    assert.equal(stream.disown(error.message), true);
    assert.deepEqual(source.disowned, [error.message]);
  });

  for (const [what, wrong, code] of [
    ['cut', packed.subarray(0, -7), 'TRANSFER_REFUSED'],
    ['a page of a web site', Buffer.from('<html>log in</html>'), 'TRANSFER_REFUSED'],
    ['empty', Buffer.alloc(0), 'TRANSFER_REFUSED'],
    ['two of them', Buffer.concat([packed, packed]), 'TRANSFER_TOO_LARGE'],
  ] as const) {
    test(`${format}: a file that is ${what} is told as published like that, or as another one, by its digest`, async () => {
      for (const isPublished of [true, false]) {
        const source = new Source(wrong);
        const form = { sha256: isPublished ? sha256Of(wrong) : sha256 };
        const error = await rejection(allOf(await opened(source, format, form)));
        assert.equal(error.code, isPublished ? code : 'STORE_DIGEST_MISMATCH', error.message);
        const told = isPublished ? error : error.cause;
        assert.ok(told instanceof SmartVMError && told.code === code);
        assert.ok(told.hint !== undefined && told.message.includes('rootfs.ext4.packed'));
        assert.equal(source.readBytes, wrong.byteLength, 'all of it was held against the digest');
        assert.ok(source.isClosed);
      }
    });
  }

  test(`${format}: a failure of the transfer is told as it is`, async () => {
    const failures = [
      new SmartVMError('the line broke', 'TRANSFER_NETWORK', { retryable: true }),
      new SmartVMError('the server does not stop', 'TRANSFER_TOO_LARGE'),
      new Error('EIO'),
    ];
    for (const failure of failures) {
      for (const part of [packed, packed.subarray(0, 1000), packed.subarray(0, 0)]) {
        const stream = await opened(new Source(part, 4096, failure), format, { sha256 });
        await assert.rejects(allOf(stream), failure);
      }
    }
  });

  test(`${format}: a range is that part of the plain bytes; a place in other bytes is none in these`, async () => {
    for (const range of [
      { start: 0, end: 16 },
      { start: 150_000, end: 210_000 },
      { start: 499_990 },
      { start: 5, end: 5 },
    ]) {
      const source = new Source(packed);
      const stream = await opened(source, format, { sha256, range });
      assert.ok((await allOf(stream)).equals(PLAIN.subarray(range.start, range.end)), JSON.stringify(range));
      assert.equal(stream.start, range.start);
    }
    const again = await opened(new Source(packed), format, { range: { start: 100, validator: 'of other bytes' } });
    assert.equal(again.start, 0);
    assert.ok((await allOf(again)).equals(PLAIN));
  });

  test(`${format}: giving it up, begun or not, leaves nothing behind`, async () => {
    const before = here();
    for (const chunks of [0, 1]) {
      const source = new Source(packed);
      const stream = await opened(source, format);
      for (let count = 0; count < chunks; count += 1) await stream.next();
      await stream.return();
      assert.equal(source.isClosed, true);
      assert.equal((await stream.next()).done, true);
    }
    await requireNothingSince(before);
  });
}

test('a file is what it was said to be packed with, whatever else its program could unpack', async () => {
  const gzip = pack('gzip', PLAIN);
  for (const pieceBytes of [1, 5]) {
    const { code } = await rejection(allOf(await opened(new Source(gzip, pieceBytes), 'zstd')));
    assert.equal(code, 'TRANSFER_REFUSED');
  }
  const error = await rejection(allOf(await opened(new Source(gzip), 'zstd')));
  assert.match(error.message, /\(zstd\): it begins with "\\u001f/);
});

test('a file of zstd may begin with a frame that is to be skipped', async () => {
  const skipped = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4]);
  const source = new Source(Buffer.concat([skipped, pack('zstd', PLAIN)]));
  assert.ok((await allOf(await opened(source, 'zstd'))).equals(PLAIN));
});

test('more packed bytes than were promised, or than anybody would pack, are not read', async () => {
  const empty = gzipSync(new Uint8Array(0));
  const endless = Buffer.concat(Array.from({ length: 200_000 }, () => empty));
  const said = await rejection(allOf(await opened(new Source(endless), 'gzip', { bytes: 100_000 })));
  assert.equal(said.code, 'TRANSFER_TOO_LARGE');
  assert.match(said.message, /has 131072 bytes or more as it is compressed, and 100000 were promised/);
  const unsaid = await rejection(allOf(await opened(new Source(endless), 'gzip', { plainBytes: 0 })));
  assert.equal(unsaid.code, 'TRANSFER_TOO_LARGE');
  assert.match(unsaid.message, /0 bytes are never packed into so many/);
});

test('an abort is told as its reason, and ends what unpacks', async () => {
  const before = here();
  for (const format of FORMATS) {
    const controller = new AbortController();
    const { signal } = controller;
    const source = new Source(bomb(format));
    const stream = await unpackingOpener(() => Promise.resolve(source), {
      name: 'x',
      form: { format, sha256: sha256Of('') },
      plainBytes: 1e12,
    })(contextOf(signal));
    await assert.rejects(
      (async () => {
        for await (const chunk of stream) {
          assert.ok(chunk.byteLength > 0);
          source.onAbort(signal);
          controller.abort();
        }
      })(),
      { name: 'AbortError' },
    );
    assert.ok(source.isClosed);
  }
  await requireNothingSince(before);
});
