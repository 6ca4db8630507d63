import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BaseImageManager, type Bundle } from 'smartvm';
import { NEWEST_X86_64_SET, startCiBucket } from '../test/support/ci-bucket.ts';
import type { Bench } from './harness/bench.ts';
import type { Lab } from './harness/lab.ts';
import { ratioBound, spreadIn, type Section } from './harness/result.ts';
import { inTurn } from './harness/shell.ts';
import { traceOf } from './harness/trace.ts';
import { makeImages } from './servers/images.ts';

const OURS = 'smartvm ensure';
const SEED = "the seed's way";
const NODE = 'node empty.mjs';
const IN_PROCESS = 'ensureBaseImage()';
const BIN = fileURLToPath(new URL('../dist/cli/main.cjs', import.meta.url));
/** Calls in one process. */
const CALLS = 200;
/** Starts of a process are short and noisy: so many in place of one. */
const STARTS = 3;

export const warm: Bench = {
  name: 'warm',
  title: 'A hit: the image is here already',

  async run(lab) {
    const cache = await lab.folder('cache');
    const bundle = await fill(lab, cache);
    const reference = NEWEST_X86_64_SET;
    const cli = [process.execPath, BIN, 'ensure', reference, '--cache-dir', cache];
    const processes = await lab.alternate(
      'one process',
      NODE,
      [
        { name: OURS, command: inTurn(cli) },
        { name: SEED, command: inTurn(lab.program('seed-warm', bundle.kernelImagePath, bundle.rootfsPath)) },
        { name: NODE, command: inTurn(lab.program('empty')) },
      ],
      STARTS,
    );
    const calls = await inProcess(lab, reference, cache);
    const traces = [
      await traceOf(lab, cli, cache),
      await traceOf(lab, lab.program('warm-calls', reference, cache, '1'), cache),
    ];
    return {
      sections: [processes, calls],
      bounds: [
        ratioBound(processes, [OURS, NODE], 1.2),
        { claim: 'a call', measured: spreadIn(calls, IN_PROCESS, 'wallMs').median, limit: 3, unit: 'ms' },
        { claim: 'connections (strace)', measured: sum(traces.map((one) => one.connections)), limit: 0, unit: '' },
        { claim: 'files written (strace)', measured: sum(traces.map((one) => one.writes)), limit: 0, unit: '' },
      ],
      notes: [
        `The image is a dated set of a bucket that is not there any more. A sample of a call is the median of ${CALLS} in one process.`,
      ],
    };
  },
};

/** Fetches a set with files of the usual sizes from a bucket, which is gone afterwards. */
async function fill(lab: Lab, cacheDir: string): Promise<Bundle> {
  const folder = await lab.folder('www');
  const { kernel, rootfs } = await makeImages(folder, lab.bytes(40), lab.bytes(300));
  const bucket = await startCiBucket();
  try {
    const prefix = `firecracker-ci/${NEWEST_X86_64_SET}/x86_64/`;
    for (const key of bucket.keys().filter((one) => one.startsWith(prefix))) {
      const name = key.slice(prefix.length);
      if (/^vmlinux-[\d.]+$/.test(name)) bucket.put(key, await readFile(join(folder, kernel.fileName)));
      if (/^ubuntu-[\d.]+\.squashfs$/.test(name)) bucket.put(key, await readFile(join(folder, rootfs.fileName)));
    }
    const { bucketUrl, releasesUrl } = bucket;
    const images = new BaseImageManager({ cacheDir, bucketUrl, releasesUrl, arch: 'x86_64' });
    return await images.ensureBaseImage({ reference: NEWEST_X86_64_SET });
  } finally {
    await bucket.close();
  }
}

async function inProcess(lab: Lab, reference: string, cache: string): Promise<Section> {
  const samples = [];
  for (let round = 0; round < lab.rounds; round += 1) {
    const way = { name: IN_PROCESS, command: inTurn(lab.program('warm-calls', reference, cache, String(CALLS))) };
    const times = (JSON.parse((await lab.run(way)).stdout) as number[]).sort((a, b) => a - b);
    samples.push({ wallMs: times[CALLS / 2] ?? NaN });
  }
  return { title: 'in one process', base: IN_PROCESS, series: [{ name: IN_PROCESS, samples }] };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
