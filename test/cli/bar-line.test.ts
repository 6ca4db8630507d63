import assert from 'node:assert/strict';
import test from 'node:test';
import { barLine } from '../../src/cli/bar-line.ts';
import type { RetryNews } from '../../src/cli/progress.ts';
import type { TransferView } from '../../src/cli/transfer-meter.ts';

const MIB = 2 ** 20;
const RESET: RetryNews = {
  role: 'rootfs',
  fileName: 'r',
  source: 'mirror.lan',
  message: 'connection reset',
  attempt: 2,
  maxAttempts: 5,
  pauseMs: 4000,
};
const half: TransferView = {
  label: 'rootfs',
  bytes: 153.25 * MIB,
  totalBytes: 340 * MIB,
  keptBytes: 0,
  bytesPerSecond: 52.1 * MIB,
  elapsedMs: 3000,
  done: false,
  trouble: undefined,
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
          for (const trouble of [undefined, { news: RESET, leftMs: 3100 }]) {
            const line = barLine(
              { ...half, bytes, totalBytes, bytesPerSecond, keptBytes: bytes / 2, trouble },
              columns,
            );
            assert.ok(line.length < columns, `${columns}: ${line}`);
          }
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

test('what was here from an earlier attempt is drawn in another way, and told in the end', () => {
  const resumed = { ...half, bytes: 170 * MIB, keptBytes: 85 * MIB };
  assert.equal(barLine(resumed, 80), 'rootfs [#####=====>            ]  50%  170.0/340.0 MiB    52.1 MiB/s  eta  0:04');
  const done = { ...resumed, bytes: 340 * MIB, done: true, elapsedMs: 6512 };
  assert.match(barLine(done, 100), /^rootfs \[#{10}={30}\] 100% {2}340\.0 MiB {2}in 6\.5 s {2}85\.0 MiB were here$/);
});

test('what stands in the way is in the place of the bar: who, what, when again, and how often yet', () => {
  const trouble = { news: RESET, leftMs: 3100 };
  assert.deepEqual(
    [80, 60, 48, 40, 24].map((columns) => barLine({ ...half, trouble }, columns)),
    [
      'rootfs  45%  mirror.lan: connection reset, again in 4 s (2 of 5)',
      'rootfs  45%  mirror.lan: connection…, again in 4 s (2 of 5)',
      'rootfs  45%  again in 4 s (2 of 5)',
      'rootfs  45%  again in 4 s (2 of 5)',
      'rootfs  45%  again in 4',
    ],
  );
  assert.equal(
    barLine({ ...half, trouble: { news: RESET, leftMs: 0 } }, 80),
    'rootfs  45%  mirror.lan: connection reset, trying again (2 of 5)',
  );
});

test('a host that is named in what happened is not named twice, and cannot steer the terminal', () => {
  const news = { ...RESET, message: 'Failed to reach http://mirror.lan/images/x?y \x1b[2J' };
  assert.match(
    barLine({ ...half, trouble: { news, leftMs: 1 } }, 90),
    /45% {2}Failed to reach mirror\.lan \\u001b\[2J, again in 1 s/,
  );
});
