import assert from 'node:assert/strict';
import test from 'node:test';
import compare from 'semver/functions/compare.js';
import { CAPABILITIES, lacking, optionsOf, parseKernelConfig } from '../../src/compat/capabilities.ts';
import { FIRECRACKER_MINORS, supportOf, supportedReleases, tableAgeDays } from '../../src/compat/releases.ts';

test('the table goes from the newest release to the oldest, without a gap', () => {
  for (const [index, { minor, lastPatch, releasedOn, supportedUntil }] of FIRECRACKER_MINORS.entries()) {
    assert.ok(lastPatch.startsWith(`${minor}.`));
    assert.ok(releasedOn < supportedUntil, minor);
    const older = FIRECRACKER_MINORS[index + 1];
    if (older === undefined) continue;
    assert.equal(compare(`${minor}.0`, `${older.minor}.0`), 1);
    assert.ok(older.releasedOn < releasedOn);
  }
});

for (const [version, today, state] of [
  ['v1.17.0', '2026-11-24', 'supported'],
  ['v1.16.2', '2026-11-24', 'supported'],
  ['v1.15.1', '2026-11-24', 'ended'],
  ['v1.15.1', '2026-08-01', 'supported'],
  ['v1.7.0', '2026-11-24', 'ended'],
  ['v1.18.0', '2026-11-24', 'newer'],
  ['v2.0.0', '2026-11-24', 'newer'],
  ['v1.4.0', '2026-11-24', 'older'],
  ['v1.16.2', '2027-02-01', 'supported'],
] as const) {
  test(`on ${today} the support of ${version} is: ${state}`, () => {
    assert.equal(supportOf(version, today).state, state);
  });
}

test('the supported releases are the last two minors', () => {
  assert.deepEqual(supportedReleases('2026-11-24'), ['v1.17.0', 'v1.16.0']);
});

test('the age of the table is known', () => {
  assert.equal(tableAgeDays(new Date('2027-05-01T00:00:00Z')), 181);
});

test('a configuration is read by its options; what is not set is not there', () => {
  const config = parseKernelConfig(
    '#\n# CONFIG_A is not set\nCONFIG_B=y\nCONFIG_C=m\nCONFIG_D="x=y"\r\nCONFIG_E=0x10\n',
  );
  assert.deepEqual(
    [...config],
    [
      ['B', 'y'],
      ['C', 'm'],
      ['D', '"x=y"'],
      ['E', '0x10'],
    ],
  );
});

test('a capability is there when all of its options are built in; a module is not enough', () => {
  const config = parseKernelConfig('CONFIG_OVERLAY_FS=m\nCONFIG_SQUASHFS=y\n');
  assert.deepEqual(lacking(config, ['overlayfs', 'squashfs', 'squashfs-zstd', 'CONFIG_SQUASHFS']), [
    { capability: 'overlayfs', options: ['OVERLAY_FS'] },
    { capability: 'squashfs-zstd', options: ['SQUASHFS_ZSTD'] },
  ]);
});

test('every capability stands for options, and no inherited name is one', () => {
  for (const name of Object.keys(CAPABILITIES)) assert.ok((optionsOf(name) ?? []).length > 0, name);
  for (const name of ['', 'toString', '__proto__', 'CONFIG_', 'config', 'OVERLAY_FS'])
    assert.equal(optionsOf(name), undefined);
});
