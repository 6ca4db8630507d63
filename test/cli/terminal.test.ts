import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import test from 'node:test';
import { promisify } from 'node:util';
import { BIN } from './bin.fixture.ts';
import { workplace } from './cache.fixture.ts';
import { imageServer } from './image-server.fixture.ts';
import { Screen } from './screen.fixture.ts';

const run = promisify(execFile);

for (const columns of [40, 80]) {
  test(`on a real terminal of ${columns} columns a download is two bars, and no line wraps`, async (t) => {
    const { cacheDir } = await workplace(t);
    const { manifestUrl } = await imageServer(t, { pauseMs: 120 });
    const raw = await onTerminal(columns, ['ensure', manifestUrl, '--cache-dir', cacheDir]);
    const screen = new Screen(columns);
    screen.write(raw);
    const [kernel = '', rootfs = ''] = screen.lines.slice(0, 2).sort();
    assert.match(kernel, /^kernel \[=+\] 100% {2}256\.0 KiB/);
    assert.match(rootfs, /^rootfs \[=+\] 100% {2}8\.0 MiB/);
    assert.match(screen.lines[2] ?? '', /^bundle {5}served$/);
    assert.ok(raw.split('rootfs [').length > 4, 'it was drawn just once');
  });
}

test('a terminal that does not know its width has 80 columns', async (t) => {
  const { cacheDir, image } = await workplace(t);
  const screen = new Screen(80);
  for (const args of [['ensure', await image('some-bundle')], ['list']]) {
    screen.write(await onTerminal(0, [...args, '--cache-dir', cacheDir]));
  }
  assert.match(screen.lines[0] ?? '', /^(?:kernel|rootfs) \[=+\] 100% /);
  assert.equal(screen.lines.at(-2), 'ID           ARCH    KERNEL   SIZE     USED      TRUST');
  assert.match(await onTerminal(0, ['--help']), /^A kernel[^]*\n {2}ensure +Make sure that an image is here/);
});

test('on a terminal list is a table, and stacked where it is narrow', async (t) => {
  const { cacheDir, image } = await workplace(t);
  await onTerminal(80, ['ensure', await image('some-bundle'), '--cache-dir', cacheDir]);
  const shown = async (columns: number): Promise<readonly string[]> => {
    const screen = new Screen(columns);
    screen.write(await onTerminal(columns, ['list', '--cache-dir', cacheDir]));
    return screen.lines.map((line) => line.replace(/aarch64 ?/, 'x86_64'));
  };
  assert.deepEqual(await shown(80), [
    'ID           ARCH    KERNEL   SIZE     USED      TRUST',
    'some-bundle  x86_64  vmlinux  4.9 KiB  just now  first-use',
  ]);
  assert.deepEqual(await shown(40), ['some-bundle', '  x86_64, vmlinux, 4.9 KiB, just now', '  first-use']);
});

/** What the command writes to a terminal of its own; the terminal itself comes from `script` of util-linux. */
async function onTerminal(columns: number, args: readonly string[]): Promise<string> {
  const command = [process.execPath, ...BIN, ...args].map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ');
  const env = { ...process.env, CI: '', SHELL: '/bin/sh' };
  const { stdout } = await run('script', ['-qec', `stty cols ${columns}; exec ${command}`, '/dev/null'], { env });
  return stdout;
}
