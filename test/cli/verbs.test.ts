import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmod, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { promisify } from 'node:util';
import { BaseImageManager, type Bundle } from 'smartvm';
import { runBin, type Finished } from './bin.fixture.ts';
import { workplace } from './cache.fixture.ts';

const run = promisify(execFile);
const done = (stdout: string): Finished => ({ status: 0, stdout, stderr: '' });

test('ensure prints where the files are, one name and value a line, and nothing else', async (t) => {
  const { dir, cacheDir, image } = await workplace(t);
  await image('first', { initrd: true });
  const ended = await runBin(['ensure', './first/manifest.json', '--cache-dir', cacheDir], { cwd: dir });
  const lines = ended.stdout.trimEnd().split('\n');
  assert.deepEqual(
    { status: ended.status, names: lines.map((line) => line.split(/ +/)[0]) },
    {
      status: 0,
      names: ['bundle', 'kernel', 'initrd', 'rootfs', 'boot-args'],
    },
  );
  const kernel = /^kernel +(.+)$/m.exec(ended.stdout)?.[1] ?? '';
  assert.equal(await readFile(kernel, 'utf8'), '\x7fELF kernel of first');
  assert.match(ended.stdout, /^boot-args +console=ttyS0 .*rootfstype=squashfs$/m);
});

test('ensure --json prints the bundle that the library returns', async (t) => {
  const { cacheDir, image } = await workplace(t);
  const path = await image('first');
  const { stdout, ...rest } = await runBin(['ensure', path, '--json', '--cache-dir', cacheDir]);
  assert.deepEqual(rest, { status: 0, stderr: '' });
  const [listed] = await new BaseImageManager({ cacheDir }).listBaseImages();
  assert.deepEqual({ ...(JSON.parse(stdout) as Bundle), lastAccessedAt: '' }, { ...listed, lastAccessedAt: '' });
});

test('ensure --shell prints what a shell can evaluate, whatever is in it', async (t) => {
  const { cacheDir, image } = await workplace(t);
  const path = await image('first', { bootArgs: "console=ttyS0 say='$(id)'" });
  const { stdout } = await runBin(['ensure', path, '--shell', '--cache-dir', cacheDir]);
  const program =
    'eval "$1"; printf "%s|%s|%s" "$SMARTVM_BUNDLE" "$SMARTVM_BOOT_ARGS" "${SMARTVM_INITRD-unset}"; cat "$SMARTVM_KERNEL"';
  const shell = await run('sh', ['-euc', program, 'sh', stdout]);
  assert.equal(shell.stdout, "first|console=ttyS0 say='$(id)'|\x7fELF kernel of first");
});

test('a flag beats the environment, and the environment beats the default', async (t) => {
  const { dir, cacheDir, image } = await workplace(t);
  const path = await image('first');
  const env = { SMARTVM_CACHE_DIR: join(dir, 'from-env'), XDG_CACHE_HOME: join(dir, 'xdg') };
  const where = async (args: readonly string[], variables: NodeJS.ProcessEnv): Promise<string> => {
    const { stdout } = await runBin(['ensure', path, '--json', ...args], { env: variables });
    return (JSON.parse(stdout) as Bundle).bundleDir;
  };
  assert.ok((await where(['--cache-dir', cacheDir], env)).startsWith(`${cacheDir}/`));
  assert.ok((await where([], env)).startsWith(`${dir}/from-env/`));
  assert.ok((await where([], { XDG_CACHE_HOME: env.XDG_CACHE_HOME })).startsWith(`${dir}/xdg/smartvm/`));
});

test('ensure asks for the architecture of this machine unless told otherwise', async (t) => {
  const { cacheDir, image } = await workplace(t);
  const path = await image('first');
  const other = process.arch === 'arm64' ? 'amd64' : 'arm64';
  const { status, stdout, stderr } = await runBin(['ensure', path, '--arch', other, '--cache-dir', cacheDir]);
  assert.deepEqual({ status, stdout }, { status: 1, stdout: '' });
  assert.match(stderr, process.arch === 'arm64' ? /x86_64/ : /aarch64/);
});

test('an error is its code, what happened and the way out on stderr, and nothing on stdout', async (t) => {
  const { cacheDir } = await workplace(t);
  const args = ['ensure', 'v1.15', '--offline', '--cache-dir', cacheDir];
  const words = await runBin(args);
  assert.deepEqual({ status: words.status, stdout: words.stdout }, { status: 1, stdout: '' });
  assert.match(words.stderr, /^BASE_IMAGE_NOT_CACHED: .*v1\.15.*\nhint: .*smartvm ensure v1\.15.*\n$/);

  const json = await runBin([...args, '--json']);
  assert.deepEqual({ status: json.status, stdout: json.stdout }, { status: 1, stdout: '' });
  const { error } = JSON.parse(json.stderr) as { error: Record<string, unknown> };
  assert.deepEqual(Object.keys(error), ['code', 'message', 'hint']);
  assert.equal(error['code'], 'BASE_IMAGE_NOT_CACHED');
});

test('--verbose shows what lies beneath an error', async (t) => {
  const { dir, cacheDir } = await workplace(t);
  const args = ['ensure', join(dir, 'missing.json'), '--cache-dir', cacheDir];
  assert.doesNotMatch((await runBin(args)).stderr, /^cause: /m);
  assert.match((await runBin([...args, '--verbose'])).stderr, /^cause: .*ENOENT/m);
});

test('list prints one bundle a line, fields between tabs; --json prints the records', async (t) => {
  const { cacheDir, image } = await workplace(t);
  const first = (await ensured(cacheDir, await image('first'))).bundleDir;
  const second = (await ensured(cacheDir, await image('second'))).bundleDir;
  const { stdout, ...rest } = await runBin(['list', '--cache-dir', cacheDir]);
  assert.deepEqual(rest, { status: 0, stderr: '' });
  const rows = stdout
    .trimEnd()
    .split('\n')
    .map((line) => line.split('\t'));
  assert.deepEqual(
    rows.map((row) => [row[0], row[2], row[3], row[5], row[6]]),
    [
      ['second', 'vmlinux', String('\x7fELF kernel of second'.length + 5000), 'first-use', second],
      ['first', 'vmlinux', String('\x7fELF kernel of first'.length + 5000), 'first-use', first],
    ],
  );

  const json = await runBin(['list', '--json', '--cache-dir', cacheDir]);
  const bundles = JSON.parse(json.stdout) as Bundle[];
  assert.deepEqual(bundles, await new BaseImageManager({ cacheDir }).listBaseImages());
});

test('list of an empty cache prints nothing, or [], and says so to a human', async (t) => {
  const { cacheDir } = await workplace(t);
  assert.deepEqual(await runBin(['list', '--json', '--cache-dir', cacheDir]), done('[]\n'));
  assert.deepEqual(await runBin(['list', '--quiet', '--cache-dir', cacheDir]), done(''));
  const { stdout, stderr } = await runBin(['list', '--cache-dir', cacheDir]);
  assert.equal(stdout, '');
  assert.match(stderr, /^No images in .*smartvm ensure/);
});

test('inspect takes an id, its beginning, a folder or a reference', async (t) => {
  const { cacheDir, image } = await workplace(t);
  const path = await image('first', { initrd: true });
  const bundle = await ensured(cacheDir, path);
  await ensured(cacheDir, await image('second'));
  for (const name of ['first', 'fi', bundle.bundleDir.split('/').at(-1) ?? '', path]) {
    const { status, stdout } = await runBin(['inspect', name, '--json', '--cache-dir', cacheDir]);
    assert.deepEqual({ status, dir: (JSON.parse(stdout) as Bundle).bundleDir }, { status: 0, dir: bundle.bundleDir });
  }
  const { stdout } = await runBin(['inspect', 'first', '--cache-dir', cacheDir]);
  for (const fact of [
    /^trust +first-use$/m,
    new RegExp(bundle.checksums.rootfsSha256),
    /manifestPath .*manifest\.json/,
  ]) {
    assert.match(stdout, fact);
  }
});

test('verify is ok with exit status 0, and names what is damaged with exit status 1', async (t) => {
  const { cacheDir, image } = await workplace(t);
  const bundle = await ensured(cacheDir, await image('first'));
  await ensured(cacheDir, await image('second'));
  const good = await runBin(['verify', '--cache-dir', cacheDir]);
  assert.equal(good.status, 0);
  assert.match(good.stdout, /^ok +second-\S+\nok +first-\S+\n$/);

  await chmod(bundle.rootfsPath, 0o644);
  await writeFile(bundle.rootfsPath, 'x'.repeat(5000));
  const bad = await runBin(['verify', '--json', '--cache-dir', cacheDir]);
  assert.deepEqual({ status: bad.status, stderr: bad.stderr }, { status: 1, stderr: '' });
  const report = JSON.parse(bad.stdout) as {
    ok: boolean;
    bundles: { bundleId: string; ok: boolean; problems: string[] }[];
  };
  assert.deepEqual(
    { ok: report.ok, bundles: report.bundles.map((one) => [one.bundleId, one.ok, one.problems.length]) },
    {
      ok: false,
      bundles: [
        ['second', true, 0],
        ['first', false, 1],
      ],
    },
  );
  const words = await runBin(['verify', 'first', '--cache-dir', cacheDir]);
  assert.equal(words.status, 1);
  assert.match(words.stdout, /^damaged +first-\S+\n +\S/);
  assert.match(words.stderr, /^hint: .*--force/m);
  assert.equal((await runBin(['verify', 'second', '--cache-dir', cacheDir])).status, 0);
});

test('remove removes what it names, and nothing when one name is wrong', async (t) => {
  const { cacheDir, image } = await workplace(t);
  const { bundleDir } = await ensured(cacheDir, await image('first'));
  await ensured(cacheDir, await image('second'));
  const wrong = await runBin(['remove', 'first', 'third', '--cache-dir', cacheDir]);
  assert.equal(wrong.status, 1);
  assert.match(wrong.stderr, /^BASE_IMAGE_NOT_CACHED: .*third/);
  assert.equal((await new BaseImageManager({ cacheDir }).listBaseImages()).length, 2);

  const right = await runBin(['remove', 'fir', 'first', '--json', '--cache-dir', cacheDir]);
  assert.equal(right.stderr, '');
  assert.deepEqual(JSON.parse(right.stdout), {
    removed: [{ bundleId: 'first', bundleDir, bytes: '\x7fELF kernel of first'.length + 5000, reason: 'asked for' }],
  });
  assert.match(
    (await runBin(['remove', 'second', '--cache-dir', cacheDir])).stdout,
    /^removed {2}second-\S+ {2}4\.9 KiB\n$/,
  );
  assert.deepEqual(await readdir(join(cacheDir, 'v1', 'bundles')), []);
});

test('prune keeps the last used and tells what went; a dry run touches nothing', async (t) => {
  const { cacheDir, image } = await workplace(t);
  await ensured(cacheDir, await image('first'));
  await ensured(cacheDir, await image('second'));
  const dry = await runBin(['prune', '--keep', '1', '--dry-run', '--cache-dir', cacheDir]);
  assert.equal(dry.status, 0);
  assert.match(dry.stdout, /^would-remove {2}first-.*\nkept {5}second-.*\n$/);
  assert.equal((await new BaseImageManager({ cacheDir }).listBaseImages()).length, 2);

  const { stdout, stderr } = await runBin(['prune', '--keep', '1', '--json', '--cache-dir', cacheDir]);
  assert.equal(stderr, '');
  const report = JSON.parse(stdout) as Record<
    string,
    { bundleId: string; bundleDir: string; bytes: number; reason: string }[]
  >;
  assert.deepEqual(Object.keys(report), ['removed', 'kept', 'skipped']);
  assert.deepEqual(
    report['removed']?.map((one) => Object.keys(one)),
    [['bundleId', 'bundleDir', 'bytes', 'reason']],
  );
  assert.deepEqual(
    report['kept']?.map((one) => one.bundleId),
    ['second'],
  );
  const [left] = await new BaseImageManager({ cacheDir }).listBaseImages();
  assert.equal(left?.bundleId, 'second');
});

/** Puts an image into the cache through the library, as some other program would. */
async function ensured(cacheDir: string, manifestPath: string): Promise<Bundle> {
  return await new BaseImageManager({ cacheDir, maxStoredBaseImages: 9 }).ensureBaseImage({ manifestPath });
}
