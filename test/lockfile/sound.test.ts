import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { BaseImageManager } from 'smartvm';
import { lockFile } from '../../src/lockfile/schema.ts';
import { isSound } from '../../src/lockfile/sound.ts';
import { worldOf } from '../contract/contract.fixture.ts';
import { startCiBucket } from '../support/ci-bucket.ts';

const artifact = (name: string): Record<string, unknown> => ({
  fileName: name,
  url: `https://images.example/${name}`,
  bytes: 42,
  sha256: 'a'.repeat(64),
  etag: '"x"',
  modifiedAt: '2026-10-08T12:00:00.000Z',
});

const sound = (): Record<string, unknown> => ({
  lockVersion: 1,
  images: {
    'v1.15 kernel=6.1': {
      x86_64: {
        preset: 'ci',
        bundleId: 'ci-v1.15',
        ciVersion: 'v1.15',
        firecrackerVersion: 'v1.15.0',
        rootfsType: 'squashfs',
        rootfsIsReadOnly: true,
        bootArgs: 'console=ttyS0 ro',
        source: { type: 'firecracker-ci', prefix: 'firecracker-ci/v1.15/' },
        trust: 'first-use',
        artifacts: {
          kernel: artifact('vmlinux'),
          rootfs: { ...artifact('rootfs.ext4'), compressed: { format: 'zstd', sha256: 'c'.repeat(64), bytes: 7 } },
          initrd: artifact('initrd'),
        },
      },
    },
  },
});

test('a lock file as it is written is read without the schema library', async (t) => {
  const bucket = await startCiBucket();
  t.after(() => bucket.close());
  const { folder } = await worldOf(t);
  const { bucketUrl, releasesUrl } = bucket;
  const path = join(folder, 'smartvm.lock');
  const images = new BaseImageManager({ bucketUrl, releasesUrl, lockFile: path, cacheDir: join(folder, 'cache') });
  await images.lockBaseImages([{ preset: 'latest' }, { reference: 'v1.15', kernel: '6.1' }]);
  assert.equal(isSound(JSON.parse(await readFile(path, 'utf8'))), true);
  assert.equal(isSound(sound()), true);
});

const ODD: readonly unknown[] = [
  ...['', ' ', '.', '..', '.x', '-1', 'v1.2', 'a\nb', 'é', 'A'.repeat(64), 'b'.repeat(65), 'x'.repeat(9000)],
  ...[
    'http://',
    'ftp://host/a',
    'https://a b/',
    'https://host:99999/a',
    'https://host/a',
    'https://host/a?b',
    '//host/a',
  ],
  ...[0, 1, 2, -1, 1.5, 2 ** 53, null, true, false],
  ...[[], {}, [[]], { type: 'debian' }, { type: 'other' }, { type: 'debian', more: [1] }, artifact('a')],
];

test('what passes for sound without the schema is accepted by it, and left as it is', () => {
  let passed = 0;
  const judge = (at: number, change: (holder: Record<string, unknown>, key: string) => void): void => {
    const lock = sound();
    const [holder, key] = placesIn(lock)[at] ?? assert.fail();
    change(holder, key);
    const value: unknown = JSON.parse(JSON.stringify(lock));
    if (!isSound(value)) return;
    passed++;
    assert.deepEqual(lockFile.parse(value), value);
  };
  for (const at of placesIn(sound()).keys()) {
    judge(at, (holder, key) => Reflect.deleteProperty(holder, key));
    for (const value of ODD) {
      judge(at, (holder, key) => (holder[key] = value));
      judge(at, (holder) => (holder['more'] = value));
      judge(at, (holder) => Object.defineProperty(holder, '__proto__', { value, enumerable: true }));
    }
  }
  assert.ok(passed > 50, `only ${passed} passed`);
});

/** Every field, with the object that has it. */
function placesIn(value: unknown): [Record<string, unknown>, string][] {
  if (typeof value !== 'object' || value === null) return [];
  const holder = value as Record<string, unknown>;
  return Object.keys(holder).flatMap((key): [Record<string, unknown>, string][] => [
    [holder, key],
    ...placesIn(holder[key]),
  ]);
}
