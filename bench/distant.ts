import type { Bench } from './harness/bench.ts';
import { Peers } from './harness/peers.ts';
import { ratioBound } from './harness/result.ts';
import { inTurn } from './harness/shell.ts';
import { makeImages, writeManifest } from './servers/images.ts';
import { startNginx } from './servers/nginx.ts';
import { startRelay } from './servers/relay.ts';

const ONE = 'smartvm, 1 connection';
const DEFAULT = 'smartvm';
const EIGHT = 'smartvm, 8 connections';
const ARIA2 = 'aria2c -x8 -s8';
const CURL = 'curl, no hash';
const DISTANCE = { roundTripMs: 20, windowBytes: 4 * 1024 ** 2 };

export const distant: Bench = {
  name: 'distant',
  title: 'The same at a round trip of 20 ms, with a window of 4 MiB',

  async run(lab) {
    const site = await startNginx(lab);
    const relay = await startRelay(Number(new URL(site.plain).port), DISTANCE);
    lab.atEnd(() => relay.close());
    const images = await makeImages(site.folder, lab.bytes(40), lab.bytes(300));
    const manifest = await writeManifest(site.folder, 'distant.json', images, relay.origin);
    const peers = new Peers(images, relay.origin);
    const ours = (name: string, connections?: number) => ({
      name,
      command: inTurn(lab.program('ensure', manifest, 'cache', { connections })),
    });
    const before = process.cpuUsage();
    const section = await lab.alternate('distant', CURL, [
      ours(ONE, 1),
      ours(DEFAULT),
      ours(EIGHT, 8),
      peers.aria2(ARIA2, false),
      peers.curl(CURL),
    ]);
    const { user, system } = process.cpuUsage(before);
    const pulls = section.series.length * (lab.rounds + 1);
    const relayMs = Math.round((user + system) / 1000 / pulls);
    return {
      sections: [section],
      bounds: [ratioBound(section, [ONE, CURL], 1.1), ratioBound(section, [EIGHT, CURL], 0.7)],
      notes: [
        `The line is a relay on loopback with slow start, and costs ${relayMs} ms of CPU a pull, beside every way.`,
      ],
    };
  },
};
