import assert from 'node:assert/strict';
import test from 'node:test';
import { runBin } from './bin.fixture.ts';

const VERBS = ['ensure', 'resolve', 'lock', 'diff', 'doctor', 'boot', 'list', 'inspect', 'verify', 'remove', 'prune'];

test('--version prints the version of the package', async () => {
  const { default: about } = (await import('../../package.json', { with: { type: 'json' } })) as {
    default: { version: string };
  };
  assert.deepEqual(await runBin(['--version']), { status: 0, stdout: `${about.version}\n`, stderr: '' });
});

test('--help and help show an example of every verb', async () => {
  const { status, stdout, stderr } = await runBin(['--help']);
  assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
  for (const verb of VERBS) assert.match(stdout, new RegExp(`^  smartvm ${verb}\\b`, 'm'));
  assert.equal((await runBin(['help'])).stdout, stdout);
  assert.ok(stdout.split('\n').every((line) => line.length < 80));
});

for (const verb of VERBS) {
  test(`the help of ${verb} fits into 80 columns`, async () => {
    const { stdout } = await runBin([verb, '--help']);
    assert.deepEqual(
      stdout.split('\n').filter((line) => line.length >= 80),
      [],
    );
  });
}

test('the help of a verb explains its flags and shows examples', async () => {
  const { status, stdout } = await runBin(['prune', '--keep', '1', '--help']);
  assert.equal(status, 0);
  assert.match(stdout, /^Usage: smartvm prune \[flags\]$/m);
  assert.match(stdout, /^ {6}--keep <n> +\S/m);
  assert.match(stdout, /^ {2}smartvm prune --keep 0 --dry-run$/m);
  assert.equal((await runBin(['help', 'prune'])).stdout, stdout);
});

test('what is not understood ends with exit status 2, says what, and points to the help', async () => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [[], /no command was given/],
    [['enusre', 'debian'], /unknown command "enusre", did you mean ensure\?/],
    [['help', 'nonsense'], /unknown command "nonsense"\n/],
    [['--json=yes', 'list'], /flags come behind the command/],
    [['ensure'], /ensure needs <reference>/],
    [['ensure', 'a', 'b'], /takes only <reference>, got "b"/],
    [['list', 'a'], /list takes no argument/],
    [['remove'], /remove needs <id…>/],
    [['ensure', 'a', '--forse'], /unknown flag --forse, did you mean --force\?/],
    [['ensure', 'a', '--cache-dir'], /--cache-dir/],
    [['ensure', 'a', '--arch', 'mips'], /--arch "mips": must be one of x86_64, aarch64/],
    [['ensure', 'a', '--allow-http', 'mirror'], /--allow-http "mirror": must be an origin/],
    [['ensure', 'a', '--offline', '--refresh'], /exclude each other/],
    [['ensure', 'a', '--limit-rate', '5MB'], /--limit-rate "5MB": must be bytes a second, like 5M/],
    [['ensure', 'a', '--connections', '0'], /--connections "0": must be a whole number of at least 1/],
    [['ensure', 'a', '--retries', '-1'], /--retries/],
    [['ensure', 'a', '--connect-timeout', '5'], /--connect-timeout "5": .*90s/],
    [['ensure', 'a', '--idle-timeout', 'never'], /--idle-timeout "never": .*90s/],
    [['ensure', 'a', '--mirror', 'lan'], /--mirror "lan": must be an address/],
    [['ensure', 'a', '--verify', 'never'], /--verify "never": must be one of always/],
    [['lock', 'a', '--progress', 'loud'], /--progress "loud": must be one of bars, lines, json, none/],
    [['prune', '--keep', 'all'], /--keep "all": must be a whole number/],
    [['boot', 'a', '--check', '--timeout', '90'], /--timeout "90": .*90s/],
    [['boot', 'a', '--memory', '512'], /--memory "512": .*512M/],
    [['boot', 'a', '--vmm', 'bochs'], /must be one of qemu, firecracker/],
    [['boot', 'a', '--expect', 'x'], /--expect needs --check/],
    [['boot', 'a', '--timeout', '9s'], /--timeout needs --check/],
    [['boot', 'a', '--check', '--dry-run'], /exclude each other/],
  ];
  for (const [args, message] of cases) {
    const { status, stdout, stderr } = await runBin(args);
    assert.deepEqual({ args, status, stdout }, { args, status: 2, stdout: '' });
    assert.match(stderr, message);
    assert.match(stderr, /^USAGE: .*\nhint: See "smartvm.* --help"\.\n$/);
  }
});

test('with --json a usage error is JSON as well', async () => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [['boot', 'a', '--json'], /needs --check or --dry-run/],
    [['ensure', 'a', '--json', '--shell'], /exclude each other/],
    [['ensure', '--json'], /needs <reference>/],
    [['nonsense', '--json'], /unknown command/],
  ];
  for (const [args, message] of cases) {
    const { status, stdout, stderr } = await runBin(args);
    assert.deepEqual({ status, stdout }, { status: 2, stdout: '' });
    const { error } = JSON.parse(stderr) as { error: { code: string; message: string } };
    assert.equal(error.code, 'USAGE');
    assert.match(error.message, message);
  }
});

test('with --progress json a usage error is one line of JSON', async () => {
  for (const args of [['ensure'], ['ensure', 'a', '--nonsense']]) {
    for (const progress of [['--progress', 'json'], ['--progress=json']]) {
      const { status, stderr } = await runBin([...args, ...progress]);
      assert.equal(status, 2);
      assert.match(stderr, /^\{"error":\{"code":"USAGE",.*\}\}\n$/);
    }
  }
});

test('a wrong environment variable is named', async () => {
  const { status, stderr } = await runBin(['boot', 'a'], { env: { SMARTVM_ACCEL: 'fast' } });
  assert.equal(status, 2);
  assert.match(stderr, /SMARTVM_ACCEL "fast": must be one of kvm, tcg/);
});
