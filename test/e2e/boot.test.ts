import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { chmod, copyFile, mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { BaseImageManager, SmartVMError, boot, bootReceipts, checkBoot, planBoot, type Bundle } from 'smartvm';
import { debianBundle } from '../support/debian-bundle.ts';
import { rejection } from '../support/rejection.ts';

const run = promisify(execFile);
/** Run directories lie here, so that machines of other tests are not counted. */
const scratch = mkdtempSync(join(tmpdir(), 'smartvm-e2e-boot-'));
process.env['TMPDIR'] = scratch;
after(() => rmSync(scratch, { recursive: true, force: true }));

const TCG = { accelerator: 'tcg', memoryMiB: 256 } as const;

test('a kernel that finds no root panics, and the boot check says so at once, with the last lines', async (t) => {
  const { kernelImagePath, rootfsPath } = await debianBundle();
  const { bundle } = await bundleOf(t, { kernel: kernelImagePath, rootfs: rootfsPath });
  const failure = await rejection(checkBoot(bundle, TCG));
  assert.equal(failure.code, 'MACHINE_BOOT_FAILED');
  assert.match(failure.message, /VFS: Unable to mount root fs[^]*The last lines:\n {2}/);
  assert.match(failure.hint ?? '', /initrd/);
  assert.deepEqual(await bootReceipts(bundle), []);
});

test('an initrd that cannot hand over says why, and the boot check repeats it', async () => {
  const failure = await rejection(checkBoot(await debianBundle(), { ...TCG, bootArgs: 'init=/nowhere' }));
  assert.equal(failure.code, 'MACHINE_BOOT_FAILED');
  assert.match(failure.message, /smartvm-initrd: cannot find \/nowhere in \/dev\/vda/);
});

test('a guest that never shows what is expected is given up when its time is over, and nothing is left', async () => {
  const before = leftovers();
  const failure = await rejection(
    checkBoot(await debianBundle(), { ...TCG, expect: 'no such words', timeoutMs: 1500 }),
  );
  assert.equal(failure.code, 'MACHINE_BOOT_FAILED');
  assert.match(failure.message, /"no such words" did not show up within 1\.5 s/);
  assert.match(failure.hint ?? '', /--timeout/);
  assert.deepEqual(leftovers(), before);
});

test('a text to expect is enough of a boot, wherever it stands', async () => {
  const receipt = await checkBoot(await debianBundle(), { ...TCG, expect: 'Command line:' });
  assert.equal(receipt.marker, 'Command line:');
  assert.ok(receipt.bootMs > 0 && existsSync(receipt.receipt ?? ''));
  assert.match(receipt.kernelLine ?? '', /^Linux version 6/);
});

test('the machine q35 boots the same bundle', async () => {
  const receipt = await checkBoot(await debianBundle(), { ...TCG, machine: 'q35', expect: 'systemd[1]' });
  assert.equal(receipt.machine, 'q35');
});

test('a writable root is a private copy: the guest writes, the cached file stays as it is, the copy goes', async (t) => {
  const { bundle, images } = await ext4Bundle(t);
  const before = leftovers();
  const digest = bundle.checksums.rootfsSha256;
  const receipt = await checkBoot(bundle, { ...TCG, expect: 'WROTE-1' });
  assert.match(receipt.kernelCommandLine, /root=\/dev\/vda rw/);
  assert.equal((await images.verifyBaseImages([bundle])).ok, true);
  const again = await checkBoot(bundle, { ...TCG, expect: 'WROTE-1' });
  assert.equal(again.marker, 'WROTE-1', 'the second machine does not see what the first one wrote');
  assert.equal((await images.listBaseImages())[0]?.checksums.rootfsSha256, digest);
  assert.deepEqual(leftovers(), before);
});

test('without a copy the root is attached read-only, and a guest cannot change the cached file', async (t) => {
  const { bundle, images } = await ext4Bundle(t);
  const receipt = await checkBoot(bundle, { ...TCG, writable: false, expect: 'READ-ONLY' });
  assert.match(receipt.kernelCommandLine, /root=\/dev\/vda ro/);
  assert.equal((await images.verifyBaseImages([bundle])).ok, true);
});

test('a bundle is in use while a machine runs, and free when it ends', async (t) => {
  const { kernelImagePath, initrdPath, rootfsPath } = await debianBundle();
  const { bundle, images } = await bundleOf(t, {
    kernel: kernelImagePath,
    initrd: initrdPath ?? '',
    rootfs: rootfsPath,
  });
  const machine = await boot(bundle, TCG);
  assert.equal((await rejection(images.removeBaseImage(bundle))).code, 'STORE_LOCKED');
  assert.deepEqual(await images.pruneBaseImages({ keep: 0 }).then(({ removed }) => removed), []);
  await machine.stop();
  await images.removeBaseImage(bundle);
  assert.deepEqual(await images.listBaseImages(), []);
});

test('an aborted boot check rejects with the reason of the signal and leaves no process', async () => {
  const before = leftovers();
  const reason = new DOMException('enough', 'AbortError');
  const stop = new AbortController();
  const checking = checkBoot(await debianBundle(), { ...TCG, signal: stop.signal });
  setTimeout(() => stop.abort(reason), 800);
  await assert.rejects(checking, reason);
  assert.deepEqual(leftovers(), before);
});

test('a machine dies with the process that started it, however that ends', async () => {
  const program = `
    import { boot } from 'smartvm';
    import { debianBundle } from ${JSON.stringify(new URL('../support/debian-bundle.ts', import.meta.url).href)};
    const machine = await boot(await debianBundle(), { accelerator: 'tcg' });
    console.log(machine.pid);
    setInterval(() => undefined, 1000);`;
  const parent = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const pid = await new Promise<number>((resolve) =>
    parent.stdout.once('data', (text: Buffer) => resolve(Number(text))),
  );
  assert.ok(isAlive(pid));
  parent.kill('SIGKILL');
  for (let waited = 0; isAlive(pid); waited += 20) {
    assert.ok(waited < 5000, `process ${pid} lives on`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
});

test('a kernel that is cut short is refused before anything is started', async (t) => {
  const { kernelImagePath, rootfsPath } = await debianBundle();
  const folder = await mkdtemp(join(tmpdir(), 'smartvm-cut-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const cut = join(folder, 'vmlinux');
  await copyFile(kernelImagePath, cut);
  await chmod(cut, 0o600);
  await truncate(cut, 1_000_000);
  const { bundle } = await bundleOf(t, { kernel: cut, rootfs: rootfsPath });
  const failure = await rejection(boot(bundle, TCG));
  assert.equal(failure.code, 'MACHINE_BOOT_FAILED');
  assert.match(failure.message, /vmlinux is cut short/);
});

test('without QEMU the error names the command that installs it', async (t) => {
  const bundle = await debianBundle();
  const { PATH } = process.env;
  t.after(() => (process.env['PATH'] = PATH));
  const folder = await mkdtemp(join(tmpdir(), 'smartvm-path-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  await run('ln', ['-s', (await run('which', ['flock'])).stdout.trim(), join(folder, 'flock')]);
  process.env['PATH'] = folder;
  const failure = await rejection(boot(bundle, TCG));
  assert.equal(failure.code, 'VMM_UNAVAILABLE');
  assert.match(
    `${failure.message} ${failure.hint ?? ''}`,
    /qemu-system-\w+ is not on PATH.*apt-get install qemu-system-/,
  );
});

test('a wish for KVM is granted or refused with the reason, never replaced by emulation', async (t) => {
  const wish = { ...TCG, accelerator: 'kvm', vmm: 'qemu' } as const;
  const outcome = await planBoot(await debianBundle(), wish).catch((error: unknown) => error);
  if (!(outcome instanceof SmartVMError)) {
    t.diagnostic('KVM boots this kernel here');
    return;
  }
  assert.equal(outcome.code, 'VMM_UNAVAILABLE');
  assert.match(outcome.message, /qemu: .*\/dev\/kvm/);
  t.diagnostic(outcome.message);
});

test('a wish for Firecracker where there is none is refused with the reason', async () => {
  const plan = planBoot(await debianBundle(), { vmm: 'firecracker', accelerator: 'tcg' });
  const failure = await rejection(plan);
  assert.equal(failure.code, 'VMM_UNAVAILABLE');
  assert.match(failure.message, /firecracker: (?:firecracker is not on PATH|Firecracker has no emulation)/);
});

/** A bundle of files on this disk, in a cache of its own. */
async function bundleOf(
  t: TestContext,
  paths: Readonly<Record<string, string>>,
  rootfsType: 'squashfs' | 'ext4' = 'squashfs',
): Promise<{ bundle: Bundle; images: BaseImageManager }> {
  const { arch, firecrackerVersion } = await debianBundle();
  const folder = await mkdtemp(join(tmpdir(), 'smartvm-boot-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const files = Object.fromEntries(Object.entries(paths).map(([role, path]) => [role, { path }]));
  const manifest = { schemaVersion: 1, bundleId: 'under-test', arch, firecrackerVersion, rootfsType, ...files };
  await writeFile(join(folder, 'm.json'), JSON.stringify(manifest));
  const images = new BaseImageManager({ cacheDir: join(folder, 'cache'), arch });
  return { bundle: await images.ensureBaseImage({ manifestPath: join(folder, 'm.json') }), images };
}

/** A root whose init tries to write and says how that went. */
async function ext4Bundle(t: TestContext): Promise<{ bundle: Bundle; images: BaseImageManager }> {
  const { kernelImagePath, initrdPath = '' } = await debianBundle();
  const folder = await mkdtemp(join(tmpdir(), 'smartvm-ext4-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const tree = join(folder, 'tree');
  for (const name of ['bin', 'sbin', 'dev', 'proc', 'sys']) await mkdir(join(tree, name), { recursive: true });
  await run('sh', [
    '-c',
    'gzip -dc "$1" | cpio -i --quiet --to-stdout bin/busybox >"$2/bin/busybox"',
    'sh',
    initrdPath,
    tree,
  ]);
  await chmod(join(tree, 'bin/busybox'), 0o755);
  const init =
    '#!/bin/busybox sh\nb=/bin/busybox\nif $b sh -c "echo x >>/written" 2>/dev/null; then $b echo WROTE-$($b wc -l </written); else $b echo READ-ONLY; fi\nwhile :; do $b sleep 1; done\n';
  await writeFile(join(tree, 'sbin/init'), init, { mode: 0o755 });
  const rootfs = join(folder, 'rootfs.ext4');
  await run('mkfs.ext4', ['-q', '-d', tree, rootfs, '16M']);
  return await bundleOf(t, { kernel: kernelImagePath, initrd: initrdPath, rootfs }, 'ext4');
}

/** Machines of this process: none of them may outlive the call that started it. */
function leftovers(): string[] {
  const children = readdirSync('/proc').filter((name) => {
    const stat = /^\d+$/.test(name) ? statLine(Number(name)) : undefined;
    return stat?.parent === process.pid && stat.command.startsWith('qemu-system');
  });
  return [...readdirSync(tmpdir()).filter((name) => name.startsWith('smartvm-run-')), ...children];
}

function isAlive(pid: number): boolean {
  const state = statLine(pid)?.state;
  return state !== undefined && !['Z', 'X'].includes(state);
}

function statLine(pid: number): { state: string; parent: number; command: string } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const rest = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return {
      command: text.slice(text.indexOf('(') + 1, text.lastIndexOf(')')),
      state: rest[0] ?? 'X',
      parent: Number(rest[1]),
    };
  } catch {
    return undefined;
  }
}
