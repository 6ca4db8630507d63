import assert from 'node:assert/strict';
import test from 'node:test';
import { bootArgsFor, lintKernelArguments } from 'smartvm';

for (const [args, readOnly, said] of [
  ['console=ttyS0 reboot=k panic=1', false, []],
  [bootArgsFor('x86_64', 'squashfs', true), true, [/pci=off/]],
  ['', false, [/no console=/, /no panic=/, /no reboot=k/]],
  ['console=ttyS0 reboot=k panic=1 root=/dev/vda ro rw', false, [/root= is left out/, /both ro and rw/]],
  ['console=ttyS0 reboot=k panic=1', true, [/read-only, and ro is missing/]],
  ['console=ttyS0 reboot=k panic=1 panic=5', false, [/panic= is given 2 times/]],
  ['console=ttyS0 reboot=k panic=1 -- root=/not/ours', false, []],
  [`console=ttyS0 reboot=k panic=1 x=${'y'.repeat(2048)}`, false, [/at most 2048/]],
] as const) {
  test(`of ${JSON.stringify(args.slice(0, 70))} ${said.length === 0 ? 'nothing is odd' : `${said.length} things are odd`}`, () => {
    const findings = lintKernelArguments(args, 'x86_64', readOnly);
    assert.equal(findings.length, said.length, findings.join('\n'));
    for (const [index, pattern] of said.entries()) assert.match(findings[index] ?? '', pattern);
  });
}

test('on aarch64 a console that is none of its serial ports is odd, and reboot=k is not missed', () => {
  const findings = lintKernelArguments('console=hvc0 panic=1', 'aarch64', false);
  assert.equal(findings.length, 1);
  assert.match(findings[0] ?? '', /ttyAMA0/);
});
