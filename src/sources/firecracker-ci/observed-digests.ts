/**
 * SHA-256 of objects in Firecracker's own bucket, as third parties observed them and wrote them down in public (as of
 * 2026-11-01). Upstream publishes none. Agreement is a second pair of eyes and no signature; other bytes are refused.
 */
const OBSERVED: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  '20260909-a8e1c3830545-0/x86_64': {
    'vmlinux-6.18.44': 'd8ced68bd61e27b6813e2c993cc53a4029c59e13210672180591c84109684fe4',
    'vmlinux-6.1.186': '51565cd5d8bc6d7f3c856acdc8028ad1ef9996d581ac25f47a03429608c4f6ed',
    'ubuntu-24.04.squashfs': '9e6809adafdbc297a46c96eeab2c03599420be4e81f1de08b53f427cead8eabf',
  },
  '20260909-a8e1c3830545-0/aarch64': {
    'vmlinux-6.18.44': '3b0233769ed8c89f1f47fdbcc4ff9300a2b1b5c618e25ade966a484481b151dc',
    'vmlinux-6.1.186': '85b23e1fc17848d90a7028c557b3d1ba71d676ff48ad1c357bc18f207302141a',
  },
  '20260916-dcfc69b625d0-0/x86_64': {
    'vmlinux-6.1.186': 'ce8be408a5df15d4fc8e73b5483bcbbf91affcf2f0109feedd942a07e7d1547d',
  },
  '20260916-dcfc69b625d0-0/aarch64': {
    'vmlinux-6.18.48': '947a09e2f89b488cdb5efb42eceb37a6ac414fcb0ddb1e5bba2ba0cd1a873a2d',
  },
  '20260923-6f82ac4cf331-0/x86_64': {
    'vmlinux-6.1.186': '586a02db8ea1fd331d45efa6ebf502fff21ceddfedf010ef70ba389b8e095523',
    'vmlinux-6.18.48': '9204218e8bcca6ac23848d74f45df2eb19d7f31e8277840a7d145a0df8b078d2',
  },
  '20260923-6f82ac4cf331-0/aarch64': {
    'vmlinux-6.18.48': 'a80108af80d9549b357ea7e00bd5c12f80686869541d135a8a67f6fe1ec3451e',
    'ubuntu-24.04.squashfs': '59da3690f36162c27e9f0e9122e90675cac9af72d3cf56a76990715cc97b0dad',
  },
  '20260930-a738f18a8db0-0/x86_64': {
    'vmlinux-6.1.186': 'ea0e55d03dbaebc79a58644308e0517b7a33f1530a84848d9edf47ffa61f69c8',
  },
  '20260819-0a745def42dd-0/x86_64': {
    'vmlinux-6.18.41': '645688b5933cb257f7d4fa71eb246669233e8c2db8378217c99cf891541fe3d5',
    'vmlinux-6.1.177': '18beee8e4b355140e637f5d2360cdf23b11a8979edbefacb3941b1ad28158f34',
    'ubuntu-24.04.squashfs': '2ee9cfdea73468b2fa9cd772cc3a70e89beeb78195ab3f0bad225a2368ef6b08',
  },
  '20260819-0a745def42dd-0/aarch64': {
    'vmlinux-6.18.41': 'b2054e82c9d1120519882c39485a17b29657b77c93ed8c9d412996de6ba9711c',
  },
  '20260722-38359b8055fc-0/x86_64': {
    'vmlinux-5.10.260': '9b910588df6f8b988d2dff45279d15323c54284e3d3b99ed777fcaec7e29a572',
  },
  'v1.15/x86_64': {
    'vmlinux-6.1.155': 'e20e46d0c36c55c0d1014eb20576171b3f3d922260d9f792017aeff53af3d4f2',
    'vmlinux-5.10.245': 'c453f36520d2f2792ab8e4532a814e4a647a4a41a4c94d4e9083a502800159b1',
  },
  'v1.14/x86_64': {
    'vmlinux-5.10.245': '643096c1fabf0fbbda1d03c100b9e86b4e6965fd5a01d3c6fb9e8c0ecb7fbfc9',
  },
};

/** The bucket that the table is about. */
const BUCKET_URL = 'https://s3.amazonaws.com/spec.ccfc.min';

/** Gives the digest that third parties observed for a key of this bucket, if any did. */
export type ObservedDigest = (bucketUrl: string, key: string) => string | undefined;

export const observedDigest: ObservedDigest = (bucketUrl, key) => {
  if (bucketUrl !== BUCKET_URL) return undefined;
  const [, folder = '', name = ''] = /^firecracker-ci\/([^/]+\/[^/]+)\/([^/]+)$/.exec(key) ?? [];
  const names = Object.hasOwn(OBSERVED, folder) ? OBSERVED[folder] : undefined;
  return names !== undefined && Object.hasOwn(names, name) ? names[name] : undefined;
};
