import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { promisify } from 'node:util';
import { BaseImageManager, boot, checkBoot, hostArch } from 'smartvm';
import { serveBundle } from '../../examples/serve-bundle.ts';
import { debianBundle } from '../support/debian-bundle.ts';

const run = promisify(execFile);

test('a bundle built from Debian packages, served with a manifest and fetched elsewhere, boots to userland', async (t) => {
  const built = await debianBundle();
  const served = await serveBundle(built);
  const cacheDir = await mkdtemp(join(tmpdir(), 'smartvm-e2e-'));
  t.after(async () => {
    await served.close();
    await rm(cacheDir, { recursive: true, force: true });
  });

  const images = new BaseImageManager({ cacheDir, arch: hostArch() });
  const copy = await images.ensureBaseImage({ manifestUrl: served.manifestUrl });
  assert.deepEqual(copy.checksums, built.checksums);
  assert.equal(copy.trust, 'published');
  assert.ok(copy.bundleDir.startsWith(cacheDir));

  const receipt = await checkBoot(copy, { accelerator: 'tcg', memoryMiB: 512 });
  assert.match(receipt.marker, /login:/);
  assert.equal(receipt.accelerator, 'tcg');
  const stored = JSON.parse(await readFile(receipt.receipt ?? '', 'utf8')) as { bootMs: number };
  assert.equal(stored.bootMs, receipt.bootMs);
  t.diagnostic(`booted in ${receipt.bootMs} ms`);

  assert.equal((await images.verifyBaseImages([copy])).ok, true);
  assert.equal((await stat(copy.rootfsPath)).mode & 0o777, 0o444);
});

test('asking for debian again builds nothing: no package tool runs', async () => {
  const first = await debianBundle();
  const program = `
    import { debianBundle } from ${JSON.stringify(new URL('../support/debian-bundle.ts', import.meta.url).href)};
    process.stdout.write((await debianBundle()).createdAt);`;
  const { stdout } = await run(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], {
    env: { ...process.env, PATH: '/nonexistent' },
  });
  assert.equal(stdout, first.createdAt);
});

test('a guest logs root in on its console by itself, has a name, socat, ip and a shell, holds no key, and its root is root’s', async () => {
  const bundle = await debianBundle();
  const questions =
    'echo "<$(hostname)|$(id -u)|$(command -v socat ip sh | wc -l)|$(find /etc/ssh /root -type f 2>/dev/null | wc -l)|$(stat -c %u:%g:%a /)>"';
  const machine = await boot(bundle, { accelerator: 'tcg', memoryMiB: 512 });
  try {
    let console = '';
    const answered = new Promise<string>((resolve, reject) => {
      machine.console.setEncoding('utf8').on('data', (text: string) => {
        const seen = console.length;
        console += text;
        if (!console.slice(0, seen).includes('# ') && /[#] $/.test(console)) machine.write(`${questions}\n`);
        const answer = /<([^<>|$]+\|\d+\|\d+\|\d+\|[\d:]+)>/.exec(console)?.[1];
        if (answer !== undefined) resolve(answer);
      });
      void machine.exited.then(() => reject(new Error(`the machine ended: ${machine.consoleTail()}`)));
    });
    assert.equal(await answered, 'smartvm|0|3|0|0:0:755');
  } finally {
    await machine.stop();
  }
});
