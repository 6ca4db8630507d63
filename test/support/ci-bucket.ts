import { startFakeBucket, type FakeBucket } from './fake-bucket.ts';

/** A bucket laid out like Firecracker's in October 2026. */
export const HALF_UPLOADED_SET = '20261118-0c0ffee0c0de-0';
export const NEWEST_X86_64_SET = '20261008-40f3a4819490-0';
export const NEWEST_AARCH64_SET = '20260923-6f82ac4cf331-0';

const DECOYS = [
  'firecracker/v1.15.0/firecracker-v1.15.0-x86_64.tgz',
  'v1.12-secret-hiding/x86_64/vmlinux-6.1.999',
  'v1.12-secret-hiding/x86_64/ubuntu-99.04.squashfs',
  'v1.15-vmclock/x86_64/vmlinux-6.1.998',
  'v1.15-vmclock/x86_64/ubuntu-98.04.squashfs',
  'vTest-bchalios/x86_64/vmlinux-6.1.997',
  'vTest-bchalios/x86_64/ubuntu-97.04.squashfs',
  '4360-tmp-artifacts/x86_64/vmlinux-6.1.996',
  '20990101-not-a-set/x86_64/vmlinux-6.1.995',
  '20990101-not-a-set/x86_64/ubuntu-95.04.squashfs',
];

/**
 * Fills a bucket with the traps of the real one. Keys of `v1.x` and of sets before November 2026 are real names, as are the
 * ETags and sizes of `REAL_FACTS`; times, the folders' completeness, the newest set and all contents are invented.
 */
export async function startCiBucket(): Promise<FakeBucket> {
  const bucket = await startFakeBucket();
  const put = (set: string, day: string, names: readonly string[]): void => {
    for (const name of names) {
      const key = `firecracker-ci/${set}/${name}`;
      bucket.put(key, contentFor(key), { lastModified: `${day}T12:00:00.000Z` });
    }
  };
  const both = (names: readonly string[]): string[] =>
    ['x86_64', 'aarch64'].flatMap((arch) => names.map((name) => `${arch}/${name}`));

  put('v1.7', '2024-03-18', both(['vmlinux-5.10.209', 'vmlinux-5.10.217', 'vmlinux-5.10.217-no-acpi']));
  put('v1.7', '2024-03-18', both(['vmlinux-6.1.77', 'vmlinux-4.14.336', 'ubuntu-22.04.squashfs']));
  put('v1.7', '2024-03-18', both(['ubuntu-22.04.ext4', 'ubuntu-22.04.id_rsa', 'ubuntu-22.04.manifest']));
  put('v1.10', '2024-11-07', both(['vmlinux-5.10.223', 'vmlinux-6.1.102', 'ubuntu-22.04.ext4']));
  put('v1.14', '2025-11-18', both(['vmlinux-5.10.245', 'vmlinux-6.1.155', 'ubuntu-24.04.squashfs']));
  put('v1.15', '2025-12-18', both(siblings('6.1.155', '5.10.245')));
  put('20260708-f11c230ed107-0', '2026-07-07', both(['vmlinux-6.1.176', 'ubuntu-24.04.squashfs']));
  put('20260708-e8a198e23f48-0', '2026-07-08', both(['vmlinux-6.18.36', 'ubuntu-24.04.squashfs']));
  put('20260909-a8e1c3830545-0', '2026-09-09', both(siblings('6.18.44', '6.1.186', '5.10.260')));
  put(NEWEST_AARCH64_SET, '2026-09-23', both(siblings('6.18.48', '6.1.186', '5.10.260')));
  put('20261007-f23a2136011e-0', '2026-10-07', ['x86_64/vmlinux-6.18.51', 'x86_64/debug/ubuntu-24.04.squashfs']);
  put(NEWEST_X86_64_SET, '2026-10-08', [
    ...siblings('6.18.51', '6.1.188').map((name) => `x86_64/${name}`),
    'aarch64/vmlinux-6.1.188',
  ]);
  put(HALF_UPLOADED_SET, '2026-11-18', ['x86_64/vmlinux-6.18.99', 'x86_64/ubuntu-24.04.manifest']);
  for (const name of DECOYS) put(name.slice(0, name.indexOf('/')), '2099-01-01', [name.slice(name.indexOf('/') + 1)]);
  bucket.put('firecracker-ci-custom/gpio-0/x86_64/vmlinux-6.1.994', contentFor('custom'));
  bucket.put('firecracker-ci/README', 'a file beside the folders');
  return bucket;
}

/** Size and ETag of real objects, for tests that are about the listing alone. */
export const REAL_FACTS: readonly { readonly key: string; readonly listedBytes: number; readonly etag?: string }[] = [
  {
    key: 'firecracker-ci/v1.15/x86_64/ubuntu-24.04.squashfs',
    listedBytes: 107_986_944,
    etag: '"0dc0850cb4f55566ac47ce94cd7703b2"',
  },
  {
    key: 'firecracker-ci/v1.15/x86_64/ubuntu-24.04.manifest',
    listedBytes: 6829,
    etag: '"0ceda11e2f82bd17452858d1955ada12"',
  },
  {
    key: 'firecracker-ci/20260909-a8e1c3830545-0/x86_64/vmlinux-6.18.44',
    listedBytes: 27_846_248,
    etag: '"0780a2063fe710dfa595658f0ae56af4-4"',
  },
  { key: 'firecracker-ci/20260909-a8e1c3830545-0/aarch64/vmlinux-6.18.44', listedBytes: 19_397_120 },
  { key: 'firecracker-ci/v1.14/x86_64/vmlinux-5.10.245', listedBytes: 39_669_712 },
];

/** Gives objects of the bucket the sizes and ETags of the real ones; their contents no longer fit them. */
export function useRealFacts(bucket: FakeBucket): void {
  for (const { key, ...facts } of REAL_FACTS) {
    const { content, lastModified } = bucket.object(key);
    bucket.put(key, content, { lastModified, ...facts });
  }
}

/** Everything that lies in one folder of a set with these kernels. */
function siblings(...kernels: readonly string[]): string[] {
  return [
    ...kernels.flatMap((kernel) => [
      `vmlinux-${kernel}`,
      `vmlinux-${kernel}.config`,
      `bzImage-${kernel}`,
      `debug/vmlinux-${kernel}`,
      `debug/vmlinux-${kernel}.config`,
      `debug/vmlinux-${kernel}.debug.gz`,
    ]),
    'vmlinux-5.10.999-no-acpi',
    'vmlinux-5.10.999-no-acpi.config',
    'debug/vmlinux-99.9.9',
    'initramfs.cpio',
    'amazonlinux-2023.squashfs',
    'amazonlinux-2023.manifest',
    'ubuntu-24.04.squashfs',
    'ubuntu-24.04.manifest',
  ];
}

/** The configuration of a made-up kernel: what it has changes with its series. */
function configFor(name: string): string {
  const isAtLeast61 = !name.startsWith('vmlinux-5.');
  const isAtLeast618 = name.startsWith('vmlinux-6.18.');
  return [
    '# Automatically generated file; DO NOT EDIT.',
    'CONFIG_VIRTIO_MMIO=y',
    'CONFIG_SQUASHFS=y',
    `CONFIG_OVERLAY_FS=${isAtLeast61 ? 'y' : 'm'}`,
    isAtLeast61 ? 'CONFIG_NF_TABLES=y' : '# CONFIG_NF_TABLES is not set',
    isAtLeast618 ? '# CONFIG_IP_NF_IPTABLES is not set' : 'CONFIG_IP_NF_IPTABLES=y',
    isAtLeast618 ? '# CONFIG_IP_NF_FILTER is not set' : 'CONFIG_IP_NF_FILTER=y',
    `CONFIG_LOCALVERSION="${name}"`,
    '',
  ].join('\n');
}

/** The packages of a made-up root file system, as dpkg-query prints them. */
function packagesFor(key: string): string {
  return `adduser\t3.137\nbase-files\t13\nlibc6:amd64\t2.39-0ubuntu8.${key.includes('2026') ? '6' : '3'}\n`;
}

/** Bytes that begin like what the key names: ELF or arm64 Image, squashfs, ext4. Different for every key. */
function contentFor(key: string): Buffer {
  if (key.endsWith('.config')) return Buffer.from(configFor(key.slice(key.lastIndexOf('/') + 1)));
  if (key.endsWith('.manifest')) return Buffer.from(packagesFor(key));
  const content = Buffer.alloc(4096, `${key}\n`);
  const name = key.slice(key.lastIndexOf('/') + 1);
  if (name.startsWith('vmlinux-') && !name.includes('.config')) {
    if (key.includes('/aarch64/')) content.write('ARM\x64', 56, 'latin1');
    else Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0]).copy(content);
  }
  if (name.endsWith('.squashfs')) content.write('hsqs', 0, 'latin1');
  if (name.endsWith('.ext4')) content.writeUInt16LE(0xef53, 1080);
  return content;
}
