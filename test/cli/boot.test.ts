import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import test from 'node:test';
import type { Bundle } from 'smartvm';
import { debianBundle } from '../support/debian-bundle.ts';
import { BIN, runBin, startBin } from './bin.fixture.ts';
import { workplace } from './cache.fixture.ts';

const TCG = ['--accel', 'tcg'];
/** In the environment of every command below, and so of its machine. */
const MARK = randomUUID();
process.env['TEST_MARK'] = MARK;

test('boot --check says on what and how fast, with --json for programs', async () => {
  const bundle = await debianBundle();
  const { status, stdout, stderr } = await runBin(['boot', 'debian', '--check', '--json', ...TCG, ...cacheOf(bundle)]);
  assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
  const seen = JSON.parse(stdout) as Record<string, unknown>;
  assert.deepEqual(Object.keys(seen), ['ok', 'vmm', 'accelerator', 'bootMs', 'marker', 'receipt']);
  assert.deepEqual([seen['ok'], seen['vmm'], seen['accelerator']], [true, 'qemu', 'tcg']);
  const kept = JSON.parse(await readFile(String(seen['receipt']), 'utf8')) as Record<string, unknown>;
  assert.equal(kept['bootMs'], seen['bootMs']);

  const shown = await runBin(['inspect', bundle.bundleId, ...cacheOf(bundle)]);
  assert.match(shown.stdout, /^kernel-format +(?:elf|bzimage|arm64-image)$/m);
  assert.match(shown.stdout, /^booted +qemu \S+ \(tcg\) in [\d.]+ s to /m);
});

test('boot --check --expect waits for that text, and words it in one line', async () => {
  const bundle = await debianBundle();
  const args = ['boot', bundle.bundleId, '--check', '--expect', 'Linux version', '--timeout', '90s', ...TCG];
  const { status, stdout } = await runBin([...args, ...cacheOf(bundle)]);
  assert.equal(status, 0);
  assert.match(stdout, /^booted \S+ on qemu \(tcg\) in [\d.]+ s: Linux version\n$/);
});

test('boot without a terminal types stdin, its end does not stop the guest, and its power-off is exit status 0', async () => {
  const bundle = await debianBundle();
  const { child, finished } = startBin(['boot', 'debian', '--quiet', ...TCG, ...cacheOf(bundle)]);
  let console = '';
  child.stdout.on('data', (text: string) => {
    console += text;
    if (/# $/.test(console) && !child.stdin.writableEnded)
      child.stdin.end('echo $((6*7))42; poweroff -f || poweroff\n');
  });
  const { status, stdout, stderr } = await finished;
  assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
  assert.match(stdout, /^4242\r?$/m);
});

test('SIGTERM ends the machine with the command, and no process is left', async () => {
  const bundle = await debianBundle();
  const { child, finished } = startBin(['boot', 'debian', ...TCG, ...cacheOf(bundle)]);
  await new Promise<void>((resolve) => {
    child.stdout.once('data', () => resolve());
    void finished.then(() => resolve());
  });
  assert.equal((await machines()).length, 1);
  child.kill('SIGTERM');
  assert.equal((await finished).status, 143);
  assert.deepEqual(await machines(), []);
});

test('a second Ctrl-C does not wait for the cleaning up, and still no process is left', async (t) => {
  // What a machine leaves when nobody waits for its end goes with this folder.
  const { dir } = await workplace(t);
  const bundle = await debianBundle();
  const { child, finished } = startBin(['boot', 'debian', ...TCG, ...cacheOf(bundle)], { env: { TMPDIR: dir } });
  const output = new Promise<void>((resolve) => child.stdout.once('data', () => resolve()));
  await Promise.race([output, finished]);
  const [machine] = await machines();
  // A machine that is stopped does not hear that it should end, and is given two seconds.
  process.kill(Number(machine), 'SIGSTOP');
  child.kill('SIGINT');
  await new Promise<void>((resolve) =>
    child.stderr.on('data', (text) => /cleaning up/.test(String(text)) && resolve()),
  );
  const startedMs = performance.now();
  child.kill('SIGINT');
  assert.equal((await finished).status, 130);
  const tookMs = performance.now() - startedMs;
  assert.ok(tookMs < 1500, `${tookMs} ms`);
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.deepEqual(await machines(), []);
});

test('on a terminal Ctrl-] leaves, and the terminal is as it was', async () => {
  const bundle = await debianBundle();
  const words = [process.execPath, ...BIN, 'boot', 'debian', ...TCG, ...cacheOf(bundle)];
  const command = `stty -g; ${words.map((word) => `'${word}'`).join(' ')}; echo "status $?"; stty -g`;
  const script = spawn('script', ['-qec', command, '/dev/null'], { env: { ...process.env, SHELL: '/bin/sh' } });
  let seen = '';
  const sent = { question: false, leave: false };
  script.stdout.setEncoding('utf8').on('data', (text: string) => {
    seen += text;
    if (!sent.question && /# $/.test(seen)) {
      sent.question = true;
      script.stdin.write('echo $((6*7))42\r');
    } else if (!sent.leave && /^4242\r*\n/m.test(seen)) {
      sent.leave = true;
      script.stdin.write('\x1d');
    }
  });
  await new Promise((resolve) => script.on('close', resolve));
  const lines = seen.trimEnd().split(/\r?\n/);
  assert.match(seen, /Ctrl-\] leaves/);
  assert.equal(lines.at(-2)?.endsWith('status 0'), true, seen.slice(-500));
  assert.equal(lines.at(-1), lines[0]);
  assert.deepEqual(await machines(), []);
});

test('boot --dry-run prints the command line, and starts nothing', async () => {
  const bundle = await debianBundle();
  const args = ['boot', 'debian', '--dry-run', '--memory', '1G', '--append', 'quiet', ...TCG, ...cacheOf(bundle)];
  const words = await runBin(args);
  assert.equal(words.status, 0);
  assert.match(words.stdout, /^memory +1024 MiB$/m);
  assert.match(words.stdout, /^kernel-args +.*console=ttyS0.* quiet$/m);
  assert.match(words.stdout, /^command +\S*qemu-system-\S+ /m);
  const plan = JSON.parse((await runBin([...args, '--json'])).stdout) as Record<string, unknown>;
  assert.deepEqual([plan['vmm'], plan['accelerator'], plan['memoryMiB']], ['qemu', 'tcg', 1024]);
  assert.deepEqual(await machines(), []);
});

test('what is no kernel is not booted', async (t) => {
  const { cacheDir, image } = await workplace(t);
  const path = await image('first');
  const { status, stdout, stderr } = await runBin(['boot', path, '--check', ...TCG, '--cache-dir', cacheDir]);
  assert.deepEqual({ status, stdout }, { status: 1, stdout: '' });
  assert.match(stderr, /^MACHINE_BOOT_FAILED: .*vmlinux/m);
  assert.match(stderr, /^hint: /m);
});

test('what is neither a reference nor in the cache is refused', async (t) => {
  const { cacheDir } = await workplace(t);
  const { status, stderr } = await runBin(['boot', 'No_Such', '--check', '--cache-dir', cacheDir]);
  assert.equal(status, 1);
  assert.match(stderr, /^INVALID_BASE_IMAGE_REFERENCE: .*No_Such/);
});

function cacheOf({ bundleDir }: Bundle): readonly string[] {
  return ['--cache-dir', dirname(dirname(dirname(bundleDir)))];
}

/** Machines that commands of this file started; other tests boot the same bundle at the same time. */
async function machines(): Promise<readonly string[]> {
  const running: string[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '');
    if (/qemu-system/.test(command) && environment.includes(MARK)) running.push(pid);
  }
  return running;
}
