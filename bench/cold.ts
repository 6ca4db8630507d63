import type { Bench } from './harness/bench.ts';
import type { Lab } from './harness/lab.ts';
import { Peers } from './harness/peers.ts';
import { ratioBound, spreadIn, type Bound, type Section } from './harness/result.ts';
import { inTurn } from './harness/shell.ts';
import { trusting } from './harness/trust.ts';
import { makeImages, writeManifest, type Images } from './servers/images.ts';
import { startNginx, type Site } from './servers/nginx.ts';

const OURS = 'smartvm';
const SEED = "the seed's way";
const OPENSSL = 'curl, openssl dgst';
const SHA256SUM = 'curl, sha256sum';
const CURL = 'curl, no hash';

/** Sizes of the root file system for the question whether memory depends on them; the kernel has 40 MiB. */
const SIZES_MIB = [40, 300, 984];

export const cold: Bench = {
  name: 'cold',
  title: 'A cold pull: kernel of 40 MiB and root file system of 300 MiB, verified and installed',

  async run(lab) {
    const site = await startNginx(lab);
    const images = await makeImages(site.folder, lab.bytes(40), lab.bytes(300));
    const plain = await pull(lab, site, images, 'over HTTP', site.plain);
    const tls = await pull(lab, site, images, 'over TLS', site.tls, site.certPath);
    const memory = await pullSizes(lab, site);
    return { sections: [plain, tls, memory], bounds: [...boundsOf(plain), ...memoryBounds(memory)], notes: NOTES };
  },
};

const NOTES = [
  'smartvm also syncs every file and folder to the disk and publishes the bundle; the others leave that to the kernel.',
  'The server is nginx on loopback. Before each run the disk is synced and what the run before has written is removed.',
];

async function pull(
  lab: Lab,
  { folder }: Site,
  images: Images,
  title: string,
  origin: string,
  certPath?: string,
): Promise<Section> {
  const peers = new Peers(images, origin, certPath);
  const manifest = await writeManifest(folder, `${title.replaceAll(' ', '-')}.json`, images, origin);
  return await lab.alternate(title, CURL, [
    {
      name: OURS,
      command: inTurn(lab.program('ensure', manifest, 'cache')),
      env: trusting(certPath),
    },
    { name: SEED, command: inTurn(lab.program('seed-pull', certPath ?? '-', ...peers.urls)) },
    peers.curlThen(OPENSSL, ['openssl', 'dgst', '-sha256']),
    peers.curlThen(SHA256SUM, ['sha256sum']),
    peers.curl(CURL),
  ]);
}

async function pullSizes(lab: Lab, { folder, plain }: Site): Promise<Section> {
  const ways = [];
  for (const size of SIZES_MIB) {
    const images = await makeImages(folder, lab.bytes(40), lab.bytes(size), `-${size}`);
    const manifest = await writeManifest(folder, `${size}.json`, images, plain);
    ways.push({ name: nameOf(size), command: inTurn(lab.program('ensure', manifest, 'cache')) });
  }
  return await lab.alternate('by size', nameOf(SIZES_MIB[0] ?? 0), ways);
}

function nameOf(rootfsMib: number): string {
  return `${40 + rootfsMib} MiB`;
}

function boundsOf(section: Section): readonly Bound[] {
  return [
    ratioBound(section, [OURS, SEED], 0.45),
    ratioBound(section, [OURS, OPENSSL], 1.2),
    ratioBound(section, [OURS, SHA256SUM], 0.7),
    ratioBound(section, [OURS, OPENSSL], 1.2 / 0.72, { quantity: 'cpuMs' }),
    ratioBound(section, [OURS, CURL], 1.1, { isStretch: true }),
  ];
}

function memoryBounds(section: Section): readonly Bound[] {
  const peaks = SIZES_MIB.map((size) => spreadIn(section, nameOf(size), 'peakMiB'));
  const medians = peaks.map(({ median }) => median);
  const most = Math.max(...peaks.map((peak) => peak.most));
  return [
    { claim: 'peak memory at any size', measured: most, limit: 110, unit: 'MiB' },
    {
      claim: 'peak memory at 1 GiB / at 80 MiB',
      measured: (medians.at(-1) ?? NaN) / (medians[0] ?? NaN),
      limit: 1.1,
      unit: 'x',
    },
  ];
}
