import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { BundleStore } from '../../src/store/bundle-store.ts';
import { contextOf, imageOf } from '../support/images.ts';
import { BIN, runBin, startBin } from './bin.fixture.ts';
import { workplace } from './cache.fixture.ts';
import { imageServer } from './image-server.fixture.ts';

const run = promisify(execFile);

for (const [signal, status] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const) {
  test(`${signal} in the middle of a download ends with ${status} and leaves nothing half done`, async (t) => {
    const { cacheDir } = await workplace(t);
    const { manifestUrl, rootfsStarted } = await imageServer(t, { stalls: true });
    const { child, finished } = startBin(['ensure', manifestUrl, '--cache-dir', cacheDir]);
    await Promise.race([rootfsStarted, finished]);
    child.kill(signal);
    const ended = await finished;
    assert.deepEqual({ status: ended.status, stdout: ended.stdout }, { status, stdout: '' });
    assert.match(ended.stderr, /^Interrupted: cleaning up/m);
    assert.doesNotMatch(ended.stderr, /AbortError|at \S+:\d+/);
    assert.deepEqual(
      (await filesIn(cacheDir)).filter((path) => !path.startsWith('v1/locks/')),
      ['v1/CACHEDIR.TAG', 'v1/owner.json'],
    );
  });
}

test('interrupted with --json it prints nothing at all', async (t) => {
  const { cacheDir } = await workplace(t);
  const { manifestUrl, rootfsStarted } = await imageServer(t, { stalls: true });
  const { child, finished } = startBin(['ensure', manifestUrl, '--json', '--cache-dir', cacheDir]);
  await Promise.race([rootfsStarted, finished]);
  child.kill('SIGINT');
  assert.deepEqual(await finished, { status: 130, stdout: '', stderr: '' });
});

test('a reader that has left is no error', async () => {
  const program = '"$@" --help | true; echo "${PIPESTATUS[0]}"';
  const { stdout, stderr } = await run('bash', ['-c', program, 'bash', process.execPath, ...BIN]);
  assert.deepEqual({ stdout, stderr }, { stdout: '0\n', stderr: '' });
});

test('what a hit prints is no error either when its reader has left, and is one when it cannot be written', async (t) => {
  const { cacheDir, image } = await workplace(t);
  const ensure = [process.execPath, ...BIN, 'ensure', await image('printed'), '--cache-dir', cacheDir];
  const program = 'out=$("$@") || exit; "$@" | true; echo "${PIPESTATUS[0]}"; "$@" > /dev/full; echo $?';
  const { stdout, stderr } = await run('bash', ['-c', program, 'bash', ...ensure]);
  assert.equal(stdout, '0\n1\n');
  assert.match(stderr, /^(?:(?:kernel|rootfs): .*\n){2}OUTPUT: failed to write to stdout: ENOSPC[^\n]*\n$/);
});

test('a reader that is slow gets all of it', async (t) => {
  const { cacheDir } = await workplace(t);
  const image = { ...imageOf(), observations: ['x'.repeat(4 * 1024 * 1024)] };
  const bundle = await new BundleStore({ cacheDir }).add(image, contextOf());
  const { child, finished } = startBin(['list', '--json', '--cache-dir', cacheDir]);
  child.stdout.pause();
  await Promise.race([once(child, 'exit'), sleep(4000)]);
  child.stdout.resume();
  const { status, stdout } = await finished;
  assert.equal(status, 0);
  assert.equal(stdout.length, `${JSON.stringify([bundle], null, 2)}\n`.length);
});

test('output that cannot be written is an error', async () => {
  const program = '"$@" --help > /dev/full; echo $?';
  const { stdout, stderr } = await run('bash', ['-c', program, 'bash', process.execPath, ...BIN]);
  assert.equal(stdout, '1\n');
  assert.match(stderr, /^OUTPUT: failed to write to stdout: ENOSPC[^\n]*\n$/);
});

test('a download in a log is a few lines on stderr, and the paths on stdout', async (t) => {
  const { cacheDir } = await workplace(t);
  const { manifestUrl } = await imageServer(t);
  const ended = await runBin(['ensure', manifestUrl, '--cache-dir', cacheDir]);
  assert.equal(ended.status, 0);
  assert.match(ended.stdout, /^bundle +served$/m);
  assert.deepEqual(
    ended.stderr
      .replace(/in .* s$/gm, 'in time')
      .trimEnd()
      .split('\n')
      .sort(),
    ['kernel: 256.0 KiB in time', 'rootfs: 8.0 MiB in time'],
  );
  const again = await runBin(['ensure', manifestUrl, '--cache-dir', cacheDir]);
  assert.deepEqual(again, { ...ended, stderr: '' });
});

async function filesIn(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  return entries.flatMap((entry) => (entry.isFile() ? [relative(dir, join(entry.parentPath, entry.name))] : [])).sort();
}
