import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmod, chown, mkdir, open, readFile, readdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { HashedFile } from '../../src/store/hashed-file.ts';
import { isRoot, mounts, readOnly, strace, works } from '../support/abilities.ts';
import { contextOf, imageOf } from '../support/images.ts';
import { linesIn, rejection, runScript, storePlace, treeOf } from './store.fixture.ts';
import type { Job } from './worker.fixture.ts';

interface Answer {
  readonly ok: boolean;
  readonly code?: string;
  readonly message?: string;
  readonly hint?: string;
  readonly result?: { readonly bundleDir: string; readonly kernelImagePath: string } | null;
  readonly warnings?: readonly string[];
  /** What the shell command afterwards said. */
  readonly after: string;
}

const unshare = ['unshare', '-m'];

/** Does a job in a process of its own, after shell commands and under another command. */
async function run(
  t: TestContext,
  job: Job,
  { before = '', after = 'true', under = [] as string[] } = {},
): Promise<Answer> {
  const shell = before === '' ? [] : [...unshare, 'sh', '-ec', `${before}; "$@"; ${after} >&2`, 'sh'];
  const { stdout, stderr, status } = await runScript(t, 'worker.fixture.ts', [JSON.stringify(job)], {
    under: [...shell, ...under],
    env: { UV_THREADPOOL_SIZE: '1' },
  }).ended;
  const line = stdout.trim().split('\n').at(-1) ?? '';
  if (line === '') throw new Error(`the worker said nothing and ended with ${status}: ${stderr}`);
  return { ...(JSON.parse(line) as Answer), after: stderr.trim() };
}

test(
  'a full disk is STORE_NO_SPACE with what is needed and what is free, and what was written is removed',
  mounts,
  async (t) => {
    const { dir, cacheDir } = await storePlace(t);
    await mkdir(cacheDir, { mode: 0o700 });
    const before = `mount -t tmpfs -o size=400k,mode=700 none ${cacheDir}`;
    const bytes = 600_000;
    const known = await run(t, { cacheDir, act: 'add', kernelBytes: { bytes, known: true } }, { before });
    assert.equal(known.code, 'STORE_NO_SPACE');
    assert.match(known.message ?? '', /0\.6 MiB are needed and 0\.0 MiB kept in reserve, 0\.\d MiB are free/);
    const counter = join(dir, 'opened');
    const unknown = await run(
      t,
      { cacheDir, act: 'add', counter, kernelBytes: { bytes, known: false } },
      { before, after: `ls -A ${join(cacheDir, 'v1', 'staging')}` },
    );
    assert.equal(unknown.code, 'STORE_NO_SPACE', unknown.message);
    assert.match(unknown.message ?? '', /Failed to write .* for vmlinux: .*0\.\d MiB are free/);
    assert.ok(unknown.hint);
    assert.equal(unknown.after, '', 'what was written is removed');
    assert.ok(linesIn(counter) > 0, 'nobody could know before the bytes came');
  },
);

test('a write that failed is told whenever it is asked after, and nobody waits for it for ever', async (t) => {
  const { dir } = await storePlace(t);
  const path = join(dir, 'file');
  await writeFile(path, '');
  const handle = await open(path, 'r');
  t.after(() => handle.close());
  const file = new HashedFile(handle, { fileName: 'file', path, totalBytes: 0 });
  file.add(Buffer.from('some bytes'));
  for (let time = 1; time <= 2; time += 1) await rejection(file.flush(), 'STORE_UNWRITABLE');
  assert.throws(() => file.add(Buffer.from('more')), { code: 'STORE_UNWRITABLE' });
  assert.equal(file.bytes, 0);
});

test('a limit on file sizes is a STORE error and not the end of the process', async (t) => {
  const { cacheDir, root } = await storePlace(t);
  const under = ['prlimit', '--fsize=300000'];
  for (const job of [
    { kernelBytes: { bytes: 600_000, known: true } },
    { stuckKernel: { bytes: 600_000, stuckAt: 1_000_000, validator: '"v"' } },
  ]) {
    const answer = await run(t, { cacheDir, act: 'add', ...job }, { under });
    assert.equal(answer.code, 'STORE_NO_SPACE', answer.message);
    assert.match(answer.message ?? '', /for vmlinux: \d+ of \d+ bytes were taken/);
    assert.deepEqual(
      await readdir(join(root, 'staging')),
      [],
      'the room is given back, though it could be gone on with',
    );
  }
});

test(
  'a lying write is found by reading back what was written, before anybody sees it, when that is asked for',
  strace,
  async (t) => {
    const { store, dir, cacheDir, root } = await storePlace(t);
    const trace = join(dir, 'trace');
    const kernelBytes = { bytes: 200_000, known: true };
    // The kernel says that it took what it did not take.
    const inject = 'inject=pwritev,pwritev2:retval=200000';
    const under = ['strace', '-f', '-qq', '-o', trace, '-e', 'trace=pwritev,pwritev2', '-e', inject];
    const job = { cacheDir, act: 'add', kernelBytes } as const;
    const caught = await run(t, { ...job, verify: 'always' }, { under });
    assert.match(await readFile(trace, 'utf8'), /INJECTED/);
    assert.equal(caught.code, 'STORE_DIGEST_MISMATCH', caught.message);
    assert.match(
      caught.message ?? '',
      /vmlinux was written with SHA-256 [0-9a-f]{64} and reads back with [0-9a-f]{64}/,
    );
    assert.deepEqual(await readdir(join(root, 'staging')), []);
    assert.deepEqual(await readdir(join(root, 'bundles')), []);

    const believed = await run(t, job, { under });
    assert.ok(believed.ok, 'else the writing is believed');
    const [bundle] = await store.list();
    assert.ok(bundle);
    assert.match((await store.verify(bundle, contextOf())).join(), /vmlinux has/);
  },
);

test('a cache on a read-only file system serves hits and lists; a miss is STORE_UNWRITABLE', mounts, async (t) => {
  const { store, cacheDir, dir } = await storePlace(t);
  await store.add(imageOf(), contextOf());
  const before = readOnly(cacheDir);
  const tree = await treeOf(dir);
  const hit = await run(t, { cacheDir, act: 'find' }, { before });
  assert.ok(hit.result, hit.message);
  assert.equal(((await run(t, { cacheDir, act: 'list' }, { before })).result as unknown as unknown[]).length, 1);
  const miss = await run(t, { cacheDir, act: 'add', image: { bundleId: 'other' } }, { before });
  assert.equal(miss.code, 'STORE_UNWRITABLE', miss.message);
  assert.match(miss.hint ?? '', /read-only/);
  assert.deepEqual(await treeOf(dir), tree);
  await chmod(hit.result.kernelImagePath, 0o444);
  assert.ok((await run(t, { cacheDir, act: 'find' }, { before })).result, 'also when it has to hash and cannot stamp');
});

test(
  'a cache of ours whose folders may not be written serves hits',
  isRoot ? {} : { skip: 'needs root, to become somebody else' },
  async (t) => {
    const { store, dir, cacheDir } = await storePlace(t);
    const nobody = 65534;
    await chmod(dir, 0o755);
    await store.add(imageOf(), contextOf());
    const { status } = spawnSync('chown', ['-R', String(nobody), cacheDir]);
    assert.equal(status, 0);
    spawnSync('find', [cacheDir, '-type', 'd', '-exec', 'chmod', '0555', '{}', '+']);
    const under = ['setpriv', `--reuid=${nobody}`, `--regid=${nobody}`, '--clear-groups'];
    const hit = await run(t, { cacheDir, act: 'find' }, { under });
    assert.ok(hit.result, hit.message);
    const miss = await run(t, { cacheDir, act: 'add', image: { bundleId: 'other' } }, { under });
    assert.equal(miss.code, 'STORE_UNWRITABLE', miss.message);
    await chmod(hit.result.kernelImagePath, 0o000);
    const unreadable = await run(t, { cacheDir, act: 'find' }, { under });
    assert.equal(unreadable.code, 'STORE_UNREADABLE', 'what cannot be read is not missing');
    await chmod(join(hit.result.bundleDir, 'manifest.json'), 0o000);
    assert.equal((await run(t, { cacheDir, act: 'find' }, { under })).code, 'STORE_UNREADABLE');
    await chown(cacheDir, 0, 0);
  },
);

test('a hit writes nothing but the time of its use, starts no process and reads no image', strace, async (t) => {
  const { store, dir, cacheDir } = await storePlace(t);
  const bundle = await store.add(imageOf(), contextOf());
  const trace = join(dir, 'trace');
  const calls =
    'openat,open,creat,mkdir,mkdirat,rename,renameat,renameat2,unlink,unlinkat,link,linkat,symlinkat,truncate,ftruncate,chmod,fchmod,fchmodat,utimensat,execve';
  const under = ['strace', '-f', '-qq', '-o', trace, '-e', `trace=${calls}`];
  assert.ok((await run(t, { cacheDir, act: 'find' }, { under })).result);
  const lines = (await readFile(trace, 'utf8')).split('\n').filter((line) => line.includes(cacheDir));
  assert.ok(
    lines.some((line) => line.includes('manifest.json')),
    'the trace shows what it should',
  );
  const writes = lines.filter((line) => !/open(at)?\(/.test(line) || /O_(WRONLY|RDWR|CREAT|TRUNC)/.test(line));
  assert.deepEqual(
    writes.filter((line) => !line.includes('execve')).map((line) => /^\d+\s+(\w+)/.exec(line)?.[1]),
    ['utimensat'],
  );
  for (const path of [bundle.kernelImagePath, bundle.rootfsPath]) {
    assert.deepEqual(
      lines.filter((line) => line.includes(basename(path)) && /open/.test(line)),
      [],
    );
  }
  assert.doesNotMatch(await readFile(trace, 'utf8'), /execve\("[^"]*flock"/);
});

test(
  'a prune with nothing to do looks at no bundle, no content and no mark, writes nothing and starts no process',
  strace,
  async (t) => {
    const { store, dir, cacheDir } = await storePlace(t);
    await store.add(imageOf(), contextOf());
    await store.prune({ limit: 5 }, contextOf());
    const trace = join(dir, 'trace');
    const under = ['strace', '-f', '-qq', '-o', trace, '-e', 'trace=%file'];
    assert.ok((await run(t, { cacheDir, act: 'prune-nothing' }, { under })).ok);
    const text = await readFile(trace, 'utf8');
    const paths = text.split('\n').flatMap((line) => {
      const [, path = ''] = /^\d+ +\w+\((?:AT_FDCWD, )?"([^"]*)"/.exec(line) ?? [];
      return path.startsWith(`${cacheDir}/v1/`) ? [path.slice(cacheDir.length + 4)] : [];
    });
    assert.deepEqual([...new Set(paths)].sort(), ['bundles', 'owner.json', 'staging', 'swept']);
    assert.doesNotMatch(text, /execve\("[^"]*flock"/);
  },
);

test('an unreadable record or file is an error, never a miss, and nothing is removed for it', strace, async (t) => {
  const { store, dir, cacheDir } = await storePlace(t);
  const bundle = await store.add(imageOf(), contextOf());
  const before = await treeOf(dir);
  for (const error of ['EMFILE', 'EIO', 'EACCES']) {
    const under = (call: string, path: string): string[] => [
      ...['strace', '-f', '-qq', '-o', '/dev/null', '-P', path],
      ...['-e', `trace=${call}`, '-e', `inject=${call}:error=${error}`],
    ];
    const record = join(bundle.bundleDir, 'manifest.json');
    for (const act of ['find', 'add'] as const) {
      const answer = await run(t, { cacheDir, act }, { under: under('openat', record) });
      assert.equal(answer.code, 'STORE_UNREADABLE', `${act} with ${error}: ${answer.message}`);
    }
    assert.deepEqual(
      (await treeOf(dir)).filter((line) => !line.includes('.lock')),
      before.filter((line) => !line.includes('.lock')),
    );
  }
});

test('whatever fails while a bundle is published, the old one stays and nothing is left over', strace, async (t) => {
  for (const fault of [
    'rename:error=EIO:when=1',
    'rename:error=EIO:when=2',
    'rename:error=EIO:when=3',
    'rename:error=EIO:when=4',
    'rename:error=EIO:when=9',
    'rename:error=EIO:when=10',
    'fsync:error=EIO:when=1',
    'fsync:error=EIO:when=3',
    'fchmod:error=EIO:when=1',
    'link:error=EIO:when=1',
    'mkdir:error=ENOSPC:when=11',
    'rename:retval=0:when=1',
    'rename:retval=0:when=6',
    'rename:retval=0:when=10',
  ]) {
    const { store, dir, cacheDir, root } = await storePlace(t);
    const old = await store.add(imageOf(), contextOf());
    const [call = ''] = fault.split(':');
    const trace = join(dir, 'trace');
    const under = ['strace', '-f', '-qq', '-o', trace, '-e', `trace=${call}`, '-e', `inject=${fault}`];
    const answer = await run(t, { cacheDir, act: 'replace' }, { under });
    assert.match(await readFile(trace, 'utf8'), /INJECTED/, `${fault} did not fire`);
    if (!answer.ok) assert.match(answer.code ?? '', /^STORE_/, `${fault}: ${answer.message}`);
    const found = await store.find(imageOf(), contextOf());
    assert.ok(found, `${fault}: ${JSON.stringify(answer)}`);
    if (!answer.ok) assert.equal(found.createdAt, old.createdAt, fault);
    assert.deepEqual(await store.verify(found, contextOf()), [], fault);
    await store.add(imageOf(), contextOf());
    await store.prune({ limit: 1 }, contextOf());
    assert.deepEqual(await readdir(join(root, 'staging')), [], fault);
  }
});

test('killed at any step of a replacement: the next call succeeds, and nothing is left over', strace, async (t) => {
  let [fired, lost] = [0, 0];
  for (const call of ['mkdir', 'rename', 'fsync', 'link', 'unlink', 'pwrite64']) {
    for (let when = 1; when <= 20; when++) {
      const { store, dir, cacheDir, root } = await storePlace(t);
      await store.add(imageOf(), contextOf());
      const trace = join(dir, 'trace');
      const inject = `inject=${call}:signal=SIGKILL:when=${when}`;
      const under = ['strace', '-f', '-qq', '-o', trace, '-e', `trace=${call}`, '-e', inject];
      const child = runScript(t, 'worker.fixture.ts', [JSON.stringify({ cacheDir, act: 'replace' })], {
        under,
        env: { UV_THREADPOOL_SIZE: '1' },
      });
      await child.ended;
      if (!(await readFile(trace, 'utf8')).includes('killed by SIGKILL')) break;
      fired++;
      const context = contextOf();
      if ((await store.find(imageOf(), context)) === undefined) lost++;
      const bundle = await store.add(imageOf(), context);
      assert.deepEqual(await store.verify(bundle, context), []);
      assert.deepEqual(context.warnings, [], `${call} ${when}`);
      assert.deepEqual(await readdir(join(root, 'staging')), [], `${call} ${when}`);
      await store.prune({ limit: 1 }, context);
      assert.equal((await readdir(join(root, 'blobs/sha256'))).length, 2, `${call} ${when}`);
    }
  }
  t.diagnostic(`${fired} steps; at ${lost} of them the old bundle was aside and was put back`);
  assert.ok(fired >= 15, `only ${fired} steps were seen`);
});

test(
  'a cache that came with a container image, where folders cannot be renamed, can be mended, replaced and pruned',
  mounts,
  async (t) => {
    const { store, dir, cacheDir } = await storePlace(t);
    await store.add(imageOf(), contextOf());
    const old = await store.add(imageOf({ bundleId: 'old' }), contextOf());
    await chmod(old.kernelImagePath, 0o644);
    await writeFile(old.kernelImagePath, 'A kernel');
    const merged = join(dir, 'merged');
    for (const name of ['merged', 'upper', 'work']) await mkdir(join(dir, name), { mode: 0o700 });
    const before = [
      `mount -t tmpfs -o mode=700 none ${dir}/upper`,
      `mkdir -m 700 ${dir}/upper/u ${dir}/upper/w`,
      `mount -t overlay -o lowerdir=${cacheDir},upperdir=${dir}/upper/u,workdir=${dir}/upper/w,redirect_dir=off none ${merged}`,
    ].join('; ');
    const skip = works('unshare', '-m', 'sh', '-ec', before);
    if (skip !== false) {
      t.skip(skip);
      return;
    }
    const job = { cacheDir: merged } as const;
    const replaced = await run(t, { ...job, act: 'replace' }, { before });
    assert.ok(replaced.ok, replaced.message);
    const mended = await run(t, { ...job, act: 'add', image: { bundleId: 'old' } }, { before });
    assert.ok(mended.ok, mended.message);
    assert.match(mended.warnings?.join() ?? '', /damaged/);
    const pruned = await run(t, { ...job, act: 'prune' }, { before });
    assert.ok(pruned.ok, pruned.message);
    const report = pruned.result as unknown as { removed: unknown[]; skipped: unknown[] };
    assert.deepEqual([report.removed.length, report.skipped.length], [1, 0], JSON.stringify(report));
  },
);
