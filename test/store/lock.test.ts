import assert from 'node:assert/strict';
import { mkdir, open, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { tryLock, withLock } from '../../src/store/lock.ts';
import { rejection, runCommand, storePlace, until } from './store.fixture.ts';

test('one at a time, in this process too, and all get their turn', async (t) => {
  const path = join((await storePlace(t)).dir, 'a.lock');
  let inside = 0;
  let most = 0;
  const turns = Array.from({ length: 6 }, (_, turn) =>
    withLock(path, {}, async () => {
      most = Math.max(most, ++inside);
      await sleep(5);
      inside--;
      return turn;
    }),
  );
  assert.deepEqual(await Promise.all(turns), [0, 1, 2, 3, 4, 5]);
  assert.equal(most, 1);
});

test('a lock that another process holds is waited for, and its holder is named', async (t) => {
  const path = join((await storePlace(t)).dir, 'a.lock');
  const holder = await hold(t, path);
  const told: string[] = [];
  const waiting = withLock(path, { onWait: (words) => told.push(words) }, () => Promise.resolve('mine'));
  await until('the wait', () => told.length > 0);
  holder.kill('SIGKILL');
  assert.equal(await waiting, 'mine');
  assert.deepEqual(told, ['process 4711 since yesterday']);
});

test('the wait is bounded: STORE_LOCKED names the file and the holder, and can be tried again', async (t) => {
  const path = join((await storePlace(t)).dir, 'a.lock');
  await hold(t, path);
  const began = performance.now();
  const failure = await rejection(
    withLock(path, { waitMs: 200 }, () => Promise.reject(new Error('it was let in'))),
    'STORE_LOCKED',
  );
  assert.ok(performance.now() - began < 3000);
  assert.match(failure.message, /a\.lock.*0\.2 s.*process 4711 since yesterday/);
  assert.equal(failure.retryable, true);
});

test('the wait for this process itself is bounded as well', async (t) => {
  const path = join((await storePlace(t)).dir, 'a.lock');
  let leave = (): void => undefined;
  const holding = withLock(path, {}, () => new Promise<void>((resolve) => (leave = resolve)));
  const failure = await rejection(
    withLock(path, { waitMs: 100 }, () => Promise.reject(new Error('it was let in'))),
    'STORE_LOCKED',
  );
  assert.match(failure.message, /held by this process/);
  leave();
  await holding;
  assert.equal(await withLock(path, { waitMs: 5000 }, () => Promise.resolve('free')), 'free');
});

test('a wait that is aborted ends at once, and the lock still works for the others', async (t) => {
  const path = join((await storePlace(t)).dir, 'a.lock');
  const holder = await hold(t, path);
  const stop = new AbortController();
  const first = withLock(path, { signal: stop.signal }, () => Promise.resolve('first'));
  const second = withLock(path, { signal: stop.signal }, () => Promise.resolve('second'));
  const third = withLock(path, {}, () => Promise.resolve('third'));
  await sleep(50);
  const began = performance.now();
  stop.abort();
  await Promise.all([first, second].map((one) => assert.rejects(one, { name: 'AbortError' })));
  assert.ok(performance.now() - began < 1000);
  holder.kill('SIGKILL');
  assert.equal(await third, 'third');
});

test('an attempt without waiting says that somebody holds it, be it this process or another', async (t) => {
  const path = join((await storePlace(t)).dir, 'a.lock');
  const within = await withLock(path, {}, () => tryLock(path, () => Promise.resolve('let in')));
  assert.equal(within, undefined);
  const holder = await hold(t, path);
  assert.equal(await tryLock(path, () => Promise.resolve('let in')), undefined);
  holder.kill('SIGKILL');
  await holder.ended;
  await until('the kernel frees it', async () => (await tryLock(path, () => Promise.resolve())) !== undefined);
});

test('the file stays, and says who has the lock', async (t) => {
  const path = join((await storePlace(t)).dir, 'a.lock');
  await withLock(path, {}, async () => {
    assert.match(await readFile(path, 'utf8'), new RegExp(`^process ${process.pid} since \\d{4}-`));
  });
  assert.match(await readFile(path, 'utf8'), /^process/);
});

test('work that throws gives the lock back', async (t) => {
  const path = join((await storePlace(t)).dir, 'a.lock');
  await assert.rejects(
    withLock(path, {}, () => Promise.reject(new Error('no'))),
    /no/,
  );
  assert.equal(await withLock(path, { waitMs: 1000 }, () => Promise.resolve('free')), 'free');
});

test('a lock file that is a symbolic link is refused, and what it points at is not touched', async (t) => {
  const { dir } = await storePlace(t);
  await writeFile(join(dir, 'precious'), 'mine');
  await symlink('precious', join(dir, 'a.lock'));
  await rejection(
    withLock(join(dir, 'a.lock'), {}, () => Promise.resolve()),
    'STORE_UNWRITABLE',
  );
  assert.equal(await readFile(join(dir, 'precious'), 'utf8'), 'mine');
});

test('without the command flock, the error says what to install', async (t) => {
  const { dir } = await storePlace(t);
  const before = process.env['PATH'];
  process.env['PATH'] = dir;
  t.after(() => (process.env['PATH'] = before));
  const failure = await rejection(
    withLock(join(dir, 'a.lock'), {}, () => Promise.resolve()),
    'STORE_LOCKED',
  );
  assert.match(failure.message, /flock is not there/);
  assert.equal(failure.hint, 'Install util-linux: apt-get install util-linux');
});

test('a flock that cannot lock is an error and not a free lock', async (t) => {
  const { dir } = await storePlace(t);
  await mkdir(join(dir, 'bin'));
  for (const [status, words] of [
    [71, /status 71/],
    [127, /status 127/],
  ] as const) {
    await writeFile(join(dir, 'bin', 'flock'), `#!/bin/sh\nexit ${status}\n`, { mode: 0o755 });
    const before = process.env['PATH'];
    process.env['PATH'] = `${join(dir, 'bin')}:${before ?? ''}`;
    t.after(() => (process.env['PATH'] = before));
    const failure = await rejection(
      withLock(join(dir, 'a.lock'), {}, () => Promise.resolve()),
      'STORE_LOCKED',
    );
    process.env['PATH'] = before;
    assert.match(failure.message, words);
  }
});

/** Another process that holds the lock, and has signed it. */
async function hold(t: Parameters<typeof runCommand>[0], path: string): Promise<ReturnType<typeof runCommand>> {
  const signed = join(dirname(path), 'signed');
  await (await open(path, 'a')).close();
  // `exec`, so that the process that is killed is the one that holds the descriptor.
  const script = `exec 3<>"$1"; flock -x 3; echo 'process 4711 since yesterday' >&3; : >"$2"; exec sleep 600`;
  const holder = runCommand(t, 'bash', ['-c', script, 'bash', path, signed]);
  await until('the other holder', () =>
    readFile(signed).then(
      () => true,
      () => false,
    ),
  );
  return holder;
}
