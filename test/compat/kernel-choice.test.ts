import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { chooseKernels, parseWantedKernel, type OfferedKernel } from '../../src/compat/kernel-choice.ts';

const plain = (...versions: readonly string[]): OfferedKernel[] =>
  versions.map((version) => ({ version, flavour: '' }));
const OFFERED = [
  ...plain('4.14.336', '5.10.245'),
  { version: '5.10.245', flavour: 'no-acpi' },
  ...plain('6.1.155', '6.18.44'),
];
const versions = (kernels: readonly OfferedKernel[]): string[] =>
  kernels.map(({ version, flavour }) => (flavour === '' ? version : `${version}-${flavour}`));

for (const [releases, chosen] of [
  [['v1.5.1'], '5.10.245'],
  [['v1.8.0'], '5.10.245'],
  [['v1.9.0'], '6.1.155'],
  [['v1.16.0'], '6.1.155'],
  [['v1.16.1'], '6.18.44'],
  [['v1.17.0'], '6.18.44'],
  [['v1.99.0'], '6.18.44'],
  [['v1.17.0', 'v1.16.0'], '6.1.155'],
  [['v1.17.0', 'v1.7.0'], '5.10.245'],
  [[], '6.18.44'],
] as const) {
  test(`for ${releases.length === 0 ? 'any release' : releases.join(' and ')} the kernel is ${chosen}`, () => {
    const { candidates, warnings } = chooseKernels(OFFERED, releases);
    assert.equal(candidates[0]?.version, chosen);
    assert.deepEqual(warnings, []);
  });
}

test('every newer kernel that was passed over is told with the release that begins to support it', () => {
  const { why } = chooseKernels(OFFERED, ['v1.8.0']);
  assert.deepEqual(why, [
    '6.18.44 was passed over: 6.18 guests are supported from v1.16.1 on, and v1.8.0 is not among those',
    '6.1.155 was passed over: 6.1 guests are supported from v1.9.0 on, and v1.8.0 is not among those',
    '5.10.245 is the newest on offer that is supported as a guest of Firecracker v1.8.0',
  ]);
});

test('a series whose support ended is told with the release that ended it', () => {
  const { why } = chooseKernels(plain('4.14.336'), ['v1.12.0']);
  assert.match(why.join(), /None of the kernels 4\.14\.336/);
  const named = chooseKernels(plain('4.14.336'), ['v1.12.0'], { version: '4.14', flavour: '' });
  assert.match(named.warnings.join(), /4\.14 guests are supported until v1\.10\.0, and v1\.12\.0 is not among those/);
});

test('a kernel that is asked for is taken, outside support with a warning that says what and since when', () => {
  const wanted = { version: '6.18', flavour: '' };
  const outside = chooseKernels(OFFERED, ['v1.15.1'], wanted);
  assert.deepEqual(versions(outside.candidates), ['6.18.44']);
  assert.match(outside.warnings.join(), /6\.18\.44 is not supported.*v1\.15\.1.*from v1\.16\.1 on.*2026-/);
  assert.deepEqual(chooseKernels(OFFERED, ['v1.17.0'], wanted).warnings, []);
});

test('a flavour is taken only by its name', () => {
  assert.deepEqual(versions(chooseKernels(OFFERED, ['v1.8.0'], { version: '5.10', flavour: 'no-acpi' }).candidates), [
    '5.10.245-no-acpi',
  ]);
  const all = chooseKernels([{ version: '5.10.245', flavour: 'no-acpi' }], ['v1.8.0']);
  assert.deepEqual(all.candidates, []);
});

test('a series is no prefix of digits: 6.1 is not 6.18', () => {
  assert.deepEqual(versions(chooseKernels(OFFERED, [], { version: '6.1', flavour: '' }).candidates), ['6.1.155']);
});

test('where nothing is known to be supported all are candidates, the highest first, with a warning', () => {
  const { candidates, warnings } = chooseKernels(plain('7.1.1', '7.2.3'), ['v1.17.0']);
  assert.deepEqual(versions(candidates), ['7.2.3', '7.1.1']);
  assert.match(warnings.join(), /7\.2\.3, 7\.1\.1.*v1\.17\.0.*taking 7\.2\.3/);
});

for (const [text, wanted] of [
  ['6.1', { version: '6.1', flavour: '' }],
  ['6.1.155', { version: '6.1.155', flavour: '' }],
  ['vmlinux-6.1.155', { version: '6.1.155', flavour: '' }],
  ['5.10-no-acpi', { version: '5.10', flavour: 'no-acpi' }],
  ['6', undefined],
  ['latest', undefined],
  ['6.1.155.config', undefined],
  ['6.1 ', undefined],
] as const) {
  test(`${JSON.stringify(text)} ${wanted === undefined ? 'names no kernel' : `is ${JSON.stringify(wanted)}`}`, () => {
    assert.deepEqual(parseWantedKernel(text), wanted);
  });
}

test('whatever is on offer and wanted, the choice is one of those on offer, and never a flavour nobody named', () => {
  const version = fc.tuple(fc.nat(9), fc.nat(20), fc.nat(300)).map((parts) => parts.join('.'));
  const offered = fc.array(fc.record({ version, flavour: fc.constantFrom('', 'no-acpi', 'no-sve') }));
  const release = fc.tuple(fc.nat(2), fc.nat(30), fc.nat(3)).map((parts) => `v${parts.join('.')}`);
  fc.assert(
    fc.property(offered, fc.array(release, { maxLength: 3 }), (kernels, releases) => {
      const { candidates } = chooseKernels(kernels, releases);
      assert.ok(candidates.every((one) => kernels.includes(one) && one.flavour === ''));
      assert.equal(
        candidates.length > 0,
        kernels.some(({ flavour }) => flavour === ''),
      );
    }),
  );
});
