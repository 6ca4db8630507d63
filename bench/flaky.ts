import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import type { Bundle } from 'smartvm';
import type { Bench } from './harness/bench.ts';
import type { Lab } from './harness/lab.ts';
import type { Sample } from './harness/result.ts';
import { inTurn } from './harness/shell.ts';
import { LEAST_ROUNDS } from './harness/store.ts';
import { startFlakyServer } from './servers/flaky-server.ts';
import { makeImages, type ImageFile } from './servers/images.ts';

const SEED = 'smartvm';
const RUNS = 100;

export const flaky: Bench = {
  name: 'flaky',
  title: 'A server that fails half of what it is asked: with 503, or with a reset at some byte',

  async run(lab) {
    const folder = await lab.folder('www');
    const images = await makeImages(folder, lab.bytes(40), lab.bytes(300));
    const server = await startFlakyServer(folder, images, SEED);
    lab.atEnd(() => server.close());
    const runs = Math.min(RUNS, Math.ceil((RUNS * lab.rounds) / LEAST_ROUNDS));
    const samples: Sample[] = [];
    let wrong = 0;
    for (let run = 1; run <= runs; run += 1) {
      const problem = await pull(lab, server.manifestUrl(run), [images.kernel, images.rootfs], samples);
      if (problem !== undefined) wrong += 1;
      lab.say(`flaky: run ${run} of ${runs}${problem === undefined ? '' : `: ${problem}`}`);
    }
    const usefulBytes = runs * (images.kernel.bytes + images.rootfs.bytes);
    return {
      sections: [{ title: `${runs} runs`, base: 'smartvm', series: [{ name: 'smartvm', samples }] }],
      bounds: [
        { claim: `runs of ${runs} that did not end right`, measured: wrong, limit: 0, unit: '' },
        {
          claim: 'bytes moved / bytes of the images',
          measured: server.movedBytes / usefulBytes,
          limit: 1.3,
          unit: 'x',
        },
      ],
      notes: [
        `${server.failures} of ${server.requests} requests failed. Retries: 10. Moved is all that the server handed over to be sent, also what a reset then threw away.`,
      ],
    };
  },
};

/** What went wrong in a run, in words; the files of the bundle are hashed again by us. */
async function pull(
  lab: Lab,
  manifestUrl: string,
  files: readonly ImageFile[],
  samples: Sample[],
): Promise<string | undefined> {
  const command = inTurn(lab.program('ensure', manifestUrl, 'cache', { limits: { retries: 10 } }));
  let problem: string | undefined;
  await lab.attempt({ name: 'smartvm', command }, async (_cwd, { sample, status, stdout, stderr }) => {
    samples.push(sample);
    if (status !== 0) {
      problem = stderr.trim();
      return;
    }
    const { bundleDir } = JSON.parse(stdout) as Bundle;
    for (const { fileName, sha256 } of files) {
      if ((await sha256Of(join(bundleDir, fileName))) !== sha256) problem = `${fileName} is wrong`;
    }
  });
  return problem;
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of createReadStream(path, { highWaterMark: 1024 ** 2 })) hash.update(piece as Buffer);
  return hash.digest('hex');
}
