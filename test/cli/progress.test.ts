import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'node:test';
import { barProgress } from '../../src/cli/bar-progress.ts';
import { jsonWords } from '../../src/cli/json-words.ts';
import { lineProgress } from '../../src/cli/line-progress.ts';
import { createWords } from '../../src/cli/words.ts';
import { Screen } from './screen.fixture.ts';

const MIB = 2 ** 20;
const kernel = { role: 'kernel', fileName: 'vmlinux', totalBytes: 40 * MIB } as const;
const rootfs = { role: 'rootfs', fileName: 'rootfs.squashfs', totalBytes: 300 * MIB } as const;

for (const columns of [40, 80, 200]) {
  test(`at ${columns} columns there is one line an artifact and one a step, and nothing is left of what was redrawn`, async () => {
    const screen = new Screen(columns);
    const progress = barProgress(screen);
    progress.line('a step before the first byte');
    progress.transfer({ ...kernel, bytes: 0 });
    await sleep(100);
    for (let step = 1; step <= 10; step++) {
      progress.transfer({ ...kernel, bytes: step * 4 * MIB });
      progress.transfer({ ...rootfs, bytes: step * 15 * MIB });
      if (step === 4) progress.line('a step between');
      if (step === 6) progress.line('a short one\n  of two lines');
      await sleep(40);
    }
    progress.end();
    progress.end();
    const seen = screen.lines.join('\n');
    assert.deepEqual(screen.lines.slice(0, 4), [
      'a step before the first byte',
      'a step between',
      'a short one',
      '  of two lines',
    ]);
    assert.equal(screen.lines.length, 6, seen);
    assert.match(screen.lines[4] ?? '', /^kernel \[=+\] 100% {2}40\.0 MiB/);
    assert.match(screen.lines[5] ?? '', /^rootfs \[=+> *\] {2}50% {2}150\.0\/300\.0 MiB/);
  });
}

const reset = { source: 'mirror.lan', message: 'connection reset', attempt: 2, maxAttempts: 5, pauseMs: 200 } as const;

for (const columns of [40, 80]) {
  test(`at ${columns} columns a new try takes the place of its bar, which comes back; a warning stands above`, async (t) => {
    const screen = new Screen(columns);
    const progress = barProgress(screen);
    t.after(() => progress.end());
    progress.transfer({ ...kernel, bytes: 20 * MIB });
    progress.transfer({ ...rootfs, bytes: 150 * MIB });
    await sleep(150);
    progress.retry({ role: 'rootfs', fileName: rootfs.fileName, ...reset });
    progress.retry({ ...reset, source: 'images.example' });
    progress.line(`warning: ${'the bytes from mirror.lan are not what they must be; '.repeat(3)}`.trim());
    await sleep(150);
    const during = screen.lines;
    assert.ok(during.every((line) => line.length < columns));
    assert.match(during.at(-2) ?? '', /^kernel \[=+> +\] {2}50%/);
    assert.match(during.at(-1) ?? '', /^rootfs {2}50% {2}(?:mirror\.lan: connection reset, )?again in 1 s \(2 of 5\)$/);
    assert.match(
      during.join(' ').replace(/ +/g, ' '),
      /^images\.example: connection reset, again in 1 s \(2 of 5\) warning: the bytes/,
    );
    await sleep(100);
    progress.transfer({ ...rootfs, bytes: 165 * MIB });
    await sleep(150);
    progress.end();
    assert.match(screen.lines.at(-1) ?? '', /^rootfs \[=+> +\] {2}55%/);
    assert.equal(screen.lines.length, during.length);
  });
}

test('the terminal is left as it was found: no cursor is hidden, no wrapping switched', async () => {
  const screen = new Screen(80);
  const progress = barProgress(screen);
  progress.transfer({ ...kernel, bytes: MIB });
  await sleep(150);
  progress.end();
  assert.match(screen.written, /kernel/);
  assert.doesNotMatch(screen.written, /\x1b\[\?/);
});

test('bars are redrawn at most ten times a second, however many events come', async () => {
  const screen = new Screen(80);
  const progress = barProgress(screen);
  for (let round = 0; round < 30; round++) {
    for (let event = 0; event < 500; event++) progress.transfer({ ...rootfs, bytes: (round * 500 + event) * 1000 });
    await sleep(10);
  }
  progress.end();
  const drawn = screen.written.split('rootfs').length - 1;
  assert.ok(drawn >= 1 && drawn <= 15, `${drawn} times`);
});

test('in a log there is a line a tenth, at most one a second, and one at the end', () => {
  const screen = new Screen(80);
  let now = 0;
  const progress = lineProgress(screen, () => now);
  for (let percent = 0; percent <= 100; percent++) {
    now = percent * 100;
    progress.transfer({ ...rootfs, bytes: percent * 3 * MIB });
  }
  progress.transfer({ ...rootfs, bytes: 300 * MIB });
  assert.deepEqual(screen.lines, [
    ...[1, 2, 3, 4, 5, 6, 7, 8, 9].map((tenth) => `rootfs: ${tenth * 10} % of 300.0 MiB`),
    'rootfs: 300.0 MiB in 10.0 s',
  ]);
});

test('in a log a transfer that goes on, steps back or is tried again says so, each in one line', () => {
  const screen = new Screen(80);
  let now = 0;
  const progress = lineProgress(screen, () => now);
  progress.transfer({ ...rootfs, bytes: 150 * MIB, resumedBytes: 150 * MIB });
  progress.retry({ role: 'rootfs', fileName: rootfs.fileName, ...reset });
  progress.retry(reset);
  now = 2000;
  progress.transfer({ ...rootfs, bytes: 0 });
  now = 4000;
  progress.transfer({ ...rootfs, bytes: 33 * MIB });
  now = 6000;
  progress.transfer({ ...rootfs, bytes: 300 * MIB });
  assert.deepEqual(screen.lines, [
    'rootfs: goes on at 150.0 MiB of 300.0 MiB',
    'rootfs: mirror.lan: connection reset, again in 1 s (2 of 5)',
    'mirror.lan: connection reset, again in 1 s (2 of 5)',
    'rootfs: back at 0 B of 300.0 MiB',
    'rootfs: 10 % of 300.0 MiB',
    'rootfs: 300.0 MiB in 6.0 s',
  ]);
});

test('for programs each event is a line of JSON, those of one transfer at most four a second, its last and its steps back always', () => {
  const screen = new Screen(400);
  let now = 0;
  const words = jsonWords(screen, () => now);
  words.onProgress({ phase: 'resolve', reference: 'latest' });
  for (let step = 0; step <= 100; step++) {
    now = step * 10;
    words.onProgress({ phase: 'fetch', ...rootfs, bytes: step * 3 * MIB });
  }
  words.onProgress({ phase: 'fetch', ...rootfs, bytes: 0 });
  words.onProgress({ phase: 'retry', ...reset });
  words.logger.warn('bad \x9bname');
  words.logger.info('i');
  words.say('s');
  const events = screen.lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.deepEqual(
    events.map(({ phase, bytes }) => (phase === 'fetch' ? Number(bytes) / MIB : phase)),
    ['resolve', 0, 75, 150, 225, 300, 0, 'retry', 'warning'],
  );
  assert.deepEqual(events[1], { phase: 'fetch', ...rootfs, bytes: 0 });
  assert.doesNotMatch(screen.written, /\x9b/);
});

test('progress that is asked for is shown by a command that is silent else', async () => {
  const screen = new Screen(80);
  const words = createWords({ stderr: screen, env: {}, silent: true, verbose: false, progress: 'lines' });
  words.say('s');
  words.onProgress({ phase: 'fetch', ...kernel, bytes: 40 * MIB });
  await sleep(150);
  assert.deepEqual(screen.lines, ['kernel: 40.0 MiB in 0.0 s']);
});

test('without progress there are still warnings', async () => {
  const screen = new Screen(80);
  const words = createWords({ stderr: screen, env: {}, silent: false, verbose: false, progress: 'none' });
  words.onProgress({ phase: 'fetch', ...kernel, bytes: 1 });
  words.logger.warn('w');
  await sleep(150);
  assert.deepEqual(screen.lines, ['warning: w']);
});

test('a transfer that takes no time is one line in a log', () => {
  const screen = new Screen(80);
  const progress = lineProgress(screen, () => 0);
  for (let percent = 0; percent <= 100; percent++) progress.transfer({ ...kernel, bytes: percent * 0.4 * MIB });
  assert.deepEqual(screen.lines, ['kernel: 40.0 MiB in 0.0 s']);
});

test('a transfer of unknown size is one line every ten seconds in a log', () => {
  const screen = new Screen(80);
  let now = 0;
  const progress = lineProgress(screen, () => now);
  for (let second = 0; second <= 25; second++) {
    now = second * 1000;
    progress.transfer({ role: 'rootfs', fileName: 'r', bytes: second * MIB });
  }
  assert.deepEqual(screen.lines, ['rootfs: 10.0 MiB so far', 'rootfs: 20.0 MiB so far']);
});

test('in CI a terminal gets lines and no bars', async () => {
  const screen = new Screen(80);
  const words = createWords({ stderr: screen, env: { CI: 'true' }, silent: false, verbose: false });
  words.onProgress({ phase: 'fetch', ...kernel, bytes: 40 * MIB });
  await sleep(150);
  words.end();
  assert.deepEqual(screen.lines, ['kernel: 40.0 MiB in 0.0 s']);
  assert.doesNotMatch(screen.written, /\x1b/);
});

test('what the library says cannot steer the terminal', () => {
  const screen = new Screen(80);
  const words = createWords({ stderr: screen, env: {}, silent: false, verbose: true });
  words.logger.warn('bad \x1b[2Jname');
  words.logger.info('bad \x9b1mname');
  words.onProgress({ phase: 'step', message: 'bad \rname\nhint: rm' });
  words.onProgress({ phase: 'resolve', reference: 'bad\x07' });
  words.end();
  assert.deepEqual(screen.lines, [
    'warning: bad \\u001b[2Jname',
    'bad \\u009b1mname',
    'bad \\u000dname hint: rm',
    'resolving bad\\u0007',
  ]);
});

test('silent words say nothing at all', async () => {
  const screen = new Screen(80);
  const words = createWords({ stderr: screen, env: {}, silent: true, verbose: true });
  words.logger.warn('w');
  words.logger.info('i');
  words.say('s');
  words.onProgress({ phase: 'fetch', ...kernel, bytes: 1 });
  await sleep(150);
  words.end();
  assert.equal(screen.written, '');
});
