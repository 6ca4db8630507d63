import assert from 'node:assert/strict';
import test from 'node:test';
import { ConsoleWatch } from '../../src/vmm/console-watch.ts';

const UP: readonly (readonly [text: string, marker: string])[] = [
  ['\r\nsmartvm login: root (automatic login)\r\n', 'smartvm login:'],
  ['Ubuntu 24.04.3 LTS ubuntu-fc-uvm ttyS0\n\nubuntu-fc-uvm login:', 'ubuntu-fc-uvm login:'],
  ['\r\nroot@smartvm:~# ', 'root@smartvm:~#'],
  ['[root@al2023-fc-uvm ~]# ', '[root@al2023-fc-uvm ~]#'],
  ['\n/ # \u001b[6n', '/ #'],
];

for (const [text, marker] of UP) {
  test(`${JSON.stringify(text)} shows that userland is up`, () => {
    const sight = new ConsoleWatch().see(text);
    assert.equal(sight?.kind, 'up');
    assert.equal(sight.marker.replace(/\s*\u001b.*/, ''), marker);
  });
}

test('a marker is seen also when it comes in pieces', () => {
  const watch = new ConsoleWatch();
  assert.equal(watch.see('smartvm lo'), undefined);
  assert.equal(watch.see('gin:')?.kind, 'up');
});

test('lines of a kernel that boots are no marker: "Login Prompts", a hash in the middle of a line', () => {
  const watch = new ConsoleWatch();
  assert.equal(watch.see('[  OK  ] Reached target Login Prompts.\n#1 SMP Debian\nCommand line: a # b\n'), undefined);
});

test('with a text to expect, a login prompt does not count', () => {
  const watch = new ConsoleWatch('READY 42');
  assert.equal(watch.see('smartvm login: '), undefined);
  assert.deepEqual(watch.see('\nREADY 42\n'), { kind: 'up', marker: 'READY 42' });
});

const DYING: readonly string[] = [
  'Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100',
  'VFS: Unable to mount root fs on unknown-block(0,0)',
  'No filesystem could mount root, tried: ext4 squashfs',
  'No working init found.  Try passing init= option to kernel.',
  'smartvm-initrd: cannot find the root device /dev/vda',
];

for (const line of DYING) {
  test(`${JSON.stringify(line)} is told as the end, with a way out`, () => {
    const sight = new ConsoleWatch().see(`[    1.0] ${line}\r\nmore`);
    assert.equal(sight?.kind, 'dying');
    assert.equal(sight.line, line);
    assert.ok(sight.sure && sight.hint.length > 20);
  });
}

test('of a panic about the root the cause is told, not the panic', () => {
  const sight = new ConsoleWatch().see(
    'Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(254,0)\n',
  );
  assert.ok(sight?.kind === 'dying' && sight.line.startsWith('VFS: Unable'));
});

test('a clock that could not be measured is the end only when nothing follows', () => {
  const sight = new ConsoleWatch().see('tsc: Marking TSC unstable due to could not calculate TSC khz\n');
  assert.ok(sight?.kind === 'dying' && !sight.sure);
});

test('the kernel’s first line is kept for the receipt', () => {
  const watch = new ConsoleWatch();
  watch.see('\u001bc[    0.000000] Linux version 6.1.0 (gcc) #1\r\nnext');
  assert.equal(watch.kernelLine, 'Linux version 6.1.0 (gcc) #1');
});
