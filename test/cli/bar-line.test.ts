import assert from 'node:assert/strict';
import test from 'node:test';
import { barLine } from '../../src/cli/bar-line.ts';
import type { TransferView } from '../../src/cli/transfer-meter.ts';

const MIB = 2 ** 20;
const half: TransferView = {
  label: 'rootfs',
  bytes: 153.25 * MIB,
  totalBytes: 340 * MIB,
  bytesPerSecond: 52.1 * MIB,
  elapsedMs: 3000,
  done: false,
};

test('a bar shows share, bytes, rate and the rest of time, as far as the terminal is wide', () => {
  assert.deepEqual(
    [200, 80, 60, 40, 30, 20, 8].map((columns) => barLine(half, columns)),
    [
      'rootfs [=================>                      ]  45%  153.3/340.0 MiB    52.1 MiB/s  eta  0:04',
      'rootfs [=========>             ]  45%  153.3/340.0 MiB    52.1 MiB/s  eta  0:04',
      'rootfs [=====>        ]  45%  153.3/340.0 MiB    52.1 MiB/s',
      'rootfs [==>     ]  45%  153.3/340.0 MiB',
      'rootfs [=====>         ]  45%',
      'rootfs [=>   ]  45%',
      'rootfs ',
    ],
  );
});

test('no line reaches the last column, whatever the numbers are', () => {
  for (let columns = 1; columns <= 220; columns++) {
    for (const bytes of [0, 1, 1023, 340 * MIB]) {
      for (const totalBytes of [undefined, 340 * MIB, 0]) {
        for (const bytesPerSecond of [0, 1, 1023.9 * MIB]) {
          const line = barLine({ ...half, bytes, totalBytes, bytesPerSecond }, columns);
          assert.ok(line.length < columns, `${columns}: ${line}`);
        }
      }
    }
  }
});

test('a line keeps its width while the numbers grow, so that nothing jumps', () => {
  const widths = [0, 1, 9, 99, 170, 339].flatMap((mebibytes) =>
    [0, 500, 900 * MIB].map(
      (bytesPerSecond) => barLine({ ...half, bytes: mebibytes * MIB, bytesPerSecond }, 80).length,
    ),
  );
  assert.deepEqual([...new Set(widths)], [79]);
});

test('a transfer of unknown size has no bar and no rest, only what came and how fast', () => {
  assert.equal(barLine({ ...half, totalBytes: undefined }, 80), 'rootfs  153.3 MiB    52.1 MiB/s');
});

test('a finished transfer says how much it was and how long it took', () => {
  const done = { ...half, bytes: 340 * MIB, done: true, elapsedMs: 6512 };
  assert.equal(barLine(done, 80), `rootfs [${'='.repeat(40)}] 100%  340.0 MiB  in 6.5 s`);
});
