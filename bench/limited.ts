import type { Bench } from './harness/bench.ts';
import { Peers } from './harness/peers.ts';
import { ratioBound } from './harness/result.ts';
import { inTurn } from './harness/shell.ts';
import { makeImages, writeManifest } from './servers/images.ts';
import { startNginx } from './servers/nginx.ts';

const ONE = 'smartvm';
const EIGHT = 'smartvm, 8 connections';
const SIXTEEN = 'smartvm, 16 connections';
const ARIA2 = 'aria2c -x8 -s8';
const ARIA2_CHECKED = 'aria2c -x8 -s8, checksum';
const CURL = 'curl, no hash';

export const limited: Bench = {
  name: 'limited',
  title: 'The same behind a limit of 50 MiB a second for each connection',

  async run(lab) {
    const site = await startNginx(lab);
    const images = await makeImages(site.folder, lab.bytes(40), lab.bytes(300));
    const manifest = await writeManifest(site.folder, 'limited.json', images, site.limited);
    const peers = new Peers(images, site.limited);
    const ours = (name: string, connections?: number) => ({
      name,
      command: inTurn(lab.program('ensure', manifest, 'cache', { connections })),
    });
    const section = await lab.alternate('limited', CURL, [
      ours(ONE),
      ours(EIGHT, 8),
      ours(SIXTEEN, 16),
      peers.aria2(ARIA2, false),
      peers.aria2(ARIA2_CHECKED, true),
      peers.curl(CURL),
    ]);
    return {
      sections: [section],
      bounds: [ratioBound(section, [EIGHT, ARIA2], 1.2), ratioBound(section, [EIGHT, ARIA2_CHECKED], 1)],
      notes: [
        'aria2c counts connections for each file and fetches both files at once: it may have 16, twice what smartvm has.',
      ],
    };
  },
};
