import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { once } from 'node:events';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { XZ, unpackWithCommand } from '../../src/unpack/with-command.ts';
import { rejection } from '../support/rejection.ts';
import { until } from '../transfer/transfer.fixture.ts';
import { Source, WAYS, allOf, bomb, childrenHere, here, pack, requireNothingSince } from './unpack.fixture.ts';

const PLAIN = Buffer.concat([randomBytes(70_000), Buffer.alloc(300_000), randomBytes(1000)]);

for (const { what, format, unpacker, skip } of WAYS) {
  for (const pieceBytes of [1, 4093, 64 * 1024, Infinity]) {
    test(
      `${what}: files one behind the other unpack to all of their bytes, in pieces of ${pieceBytes}`,
      { skip },
      async () => {
        const small = pieceBytes === 1 ? PLAIN.subarray(69_000, 71_000) : PLAIN;
        const packed = [small, Buffer.alloc(0), small.subarray(0, 1000)].map((plain) => pack(format, plain));
        const plain = await allOf(unpacker(new Source(Buffer.concat(packed), pieceBytes), undefined));
        assert.ok(plain.equals(Buffer.concat([small, small.subarray(0, 1000)])));
      },
    );
  }

  test(`${what}: what is cut, damaged, or followed by anything is refused`, { skip }, async () => {
    const plain = PLAIN.subarray(0, 100_000);
    const packed = pack(format, plain);
    const damaged = Buffer.from(packed);
    damaged[50_000] = (damaged[50_000] ?? 0) ^ 1;
    const wrongEnd = Buffer.from(packed);
    wrongEnd[packed.byteLength - 3] = (packed[packed.byteLength - 3] ?? 0) ^ 1;
    for (const [why, bytes] of [
      ['cut at its end', packed.subarray(0, -1)],
      ['cut in its midst', packed.subarray(0, 50_000)],
      ['cut at its beginning', packed.subarray(0, 8)],
      ['damaged', damaged],
      ['damaged at its end', wrongEnd],
      ['followed by words', Buffer.concat([packed, Buffer.from('words')])],
      ['followed by one byte', Buffer.concat([packed, Buffer.from('w')])],
      ['followed by a beginning', Buffer.concat([packed, packed.subarray(0, 9)])],
      // The format itself pads xz with zeros in fours.
      ['followed by zeros', Buffer.concat([packed, Buffer.alloc(9)])],
    ] as const) {
      for (const pieceBytes of [4093, Infinity]) {
        await assert.rejects(allOf(unpacker(new Source(bytes, pieceBytes), undefined)), Error, why);
      }
    }
  });

  test(`${what}: what the pieces fail with is told, also between two files`, { skip }, async () => {
    const failure = new Error('the line broke');
    const packed = pack(format, PLAIN);
    for (const bytes of [packed, packed.subarray(0, 60_000)]) {
      await assert.rejects(allOf(unpacker(new Source(bytes, 4096, failure), undefined)), failure);
    }
  });

  test(
    `${what}: no more is unpacked than is asked for, and nothing is left when it is given up`,
    { skip },
    async () => {
      const before = here();
      const packed = bomb(format);
      const source = new Source(packed);
      const rssBefore = process.memoryUsage.rss();
      let bytes = 0;
      for await (const chunk of unpacker(source, undefined)) {
        bytes += chunk.byteLength;
        await new Promise((resolve) => setTimeout(resolve, 5));
        if (bytes > 1024 * 1024) break;
      }
      assert.ok(bytes <= 1024 * 1024 + 128 * 1024, `${bytes} bytes`);
      assert.ok(process.memoryUsage.rss() - rssBefore < 64 * 1024 * 1024);
      assert.ok(source.readBytes < packed.byteLength / 2, `${source.readBytes} packed bytes were read`);
      await requireNothingSince(before);
    },
  );
}

test('a program that is not there is named with its package', async (t) => {
  const { PATH } = process.env;
  t.after(() => (process.env['PATH'] = PATH));
  process.env['PATH'] = '/nowhere';
  const before = here();
  const error = await rejection(allOf(unpackWithCommand(XZ, new Source(new Uint8Array(0)), undefined)));
  assert.equal(error.code, 'TRANSFER_REFUSED');
  assert.match(error.message, /xz: it is not on PATH/);
  assert.equal(error.hint, 'apt-get install xz-utils');
  await requireNothingSince(before);
});

test('what a user has set for xz changes nothing', async (t) => {
  t.after(() => delete process.env['XZ_OPT']);
  process.env['XZ_OPT'] = '--single-stream --ignore-check';
  const packed = pack('xz', Buffer.from('one '));
  const plain = await allOf(unpackWithCommand(XZ, new Source(Buffer.concat([packed, packed])), undefined));
  assert.equal(plain.toString(), 'one one ');
});

test('a program says itself what it finds wrong', async () => {
  const source = new Source(Buffer.from('<html>log in</html>'));
  await assert.rejects(
    allOf(unpackWithCommand(XZ, source, undefined)),
    /xz ended with status 1: .*format not recognized/,
  );
});

test('a program that ends well before it has read all has not unpacked it', async () => {
  const command = { name: 'head', args: ['-c', '10'], debianPackage: 'coreutils' };
  const reading = allOf(unpackWithCommand(command, new Source(Buffer.alloc(4 * 1024 * 1024)), undefined));
  await assert.rejects(reading, /head ended before all was read/);
});

test('a program that does nothing any more ends when it is aborted', async () => {
  const before = here();
  const controller = new AbortController();
  const plain = unpackWithCommand(XZ, new Source(bomb('xz')), controller.signal);
  await plain.next();
  const [pid] = childrenHere().filter((one) => !before.children.includes(one));
  process.kill(Number(pid), 'SIGSTOP');
  const reading = allOf(plain);
  controller.abort();
  await assert.rejects(reading, { name: 'AbortError' });
  await requireNothingSince(before);
});

test('a program ends with the process that started it', async () => {
  const worker = fileURLToPath(new URL('stalled.worker.ts', import.meta.url));
  const parent = spawn(process.execPath, ['--import', 'tsx', worker], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [said] = (await once(parent.stdout, 'data')) as [Buffer];
  const place = `/proc/${said.toString().trim()}`;
  assert.ok(isAlive(place));
  parent.kill('SIGKILL');
  await once(parent, 'close');
  await until(() => !isAlive(place));
});

/** One that ended and that nobody has taken note of is dead. */
function isAlive(place: string): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`${place}/status`, 'utf8'));
  } catch {
    return false;
  }
}
