import type { Bench } from './harness/bench.ts';
import type { Lab, Way } from './harness/lab.ts';
import { Peers } from './harness/peers.ts';
import { ratioBound, type Section } from './harness/result.ts';
import { inTurn } from './harness/shell.ts';
import { trusting } from './harness/trust.ts';
import type { FloorOptions } from './programs/lib/wanted.ts';
import { makeImages, writeManifest, type Images } from './servers/images.ts';
import { startNginx, type Site } from './servers/nginx.ts';

const OURS = 'smartvm';
const HTTP = 'http.get, writev of 1 MiB';
const NOW = 'onread, written on the spot';
const BEHIND = 'onread, written behind';
const SYNCED = 'onread, written behind, synced';
const OPENSSL = 'curl, openssl dgst';
const CURL = 'curl, no hash';

/** How near Node comes to curl: prototypes that fetch and hash both files, and do nothing else that an installation needs. */
export const floor: Bench = {
  name: 'floor',
  title: 'What Node can do: the same bytes received, hashed and written by prototypes',

  async run(lab) {
    const site = await startNginx(lab);
    const images = await makeImages(site.folder, lab.bytes(40), lab.bytes(300));
    const plain = await compare(lab, site, images, 'by HTTP', site.plain);
    const tls = await compare(lab, site, images, 'by TLS', site.tls, site.certPath);
    return {
      sections: [plain, tls],
      bounds: [plain, tls].flatMap((section) =>
        [HTTP, NOW, BEHIND].map((name) => ratioBound(section, [name, CURL], 1.1, { isStretch: true })),
      ),
    };
  },
};

async function compare(
  lab: Lab,
  { folder }: Site,
  images: Images,
  title: string,
  origin: string,
  certPath?: string,
): Promise<Section> {
  const peers = new Peers(images, origin, certPath);
  const manifest = await writeManifest(folder, `floor-${title.replaceAll(' ', '-')}.json`, images, origin);
  const files = [images.kernel, images.rootfs].map(({ fileName, sha256 }) => {
    return { fileName, sha256, url: `${origin}/${fileName}` };
  });
  const prototype = (name: string, program: string, options: Omit<FloorOptions, 'files'> = {}): Way => {
    const all = { files, ...(certPath === undefined ? {} : { certPath }), ...options };
    return { name, command: inTurn(lab.program(program, all)) };
  };
  return await lab.alternate(title, CURL, [
    {
      name: OURS,
      command: inTurn(lab.program('ensure', manifest, 'cache')),
      env: trusting(certPath),
    },
    prototype(HTTP, 'floor-http'),
    prototype(NOW, 'floor-onread'),
    prototype(BEHIND, 'floor-onread', { writesBehind: true }),
    prototype(SYNCED, 'floor-onread', { writesBehind: true, syncs: true }),
    peers.curlThen(OPENSSL, ['openssl', 'dgst', '-sha256']),
    peers.curl(CURL),
  ]);
}
