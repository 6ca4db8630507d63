import { appendFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { SmartVMError } from '../../src/errors.ts';
import { BundleStore } from '../../src/store/bundle-store.ts';
import { leaseBundle } from '../../src/store/lease.ts';
import { contextOf, imageOf, noise, type ArtifactOptions, type ImageOptions } from '../support/images.ts';

/** What a worker is asked to do, as JSON in its first argument. It prints one line of JSON. */
export interface Job {
  readonly cacheDir: string;
  readonly act: 'add' | 'replace' | 'find' | 'list' | 'lease' | 'prune' | 'prune-nothing' | 'remove';
  readonly image?: ImageOptions;
  /** A kernel of this size; `known` says whether its size and digest are promised. */
  readonly kernelBytes?: { readonly bytes: number; readonly known: boolean };
  /** A line is appended here for every stream that is opened. */
  readonly counter?: string;
  /** How long a stream takes to open. */
  readonly openMs?: number;
  /** A stream of this kernel never ends. */
  readonly hangs?: boolean;
  /** A kernel that can be gone on with, of which the stream says nothing more after so many bytes. */
  readonly stuckKernel?: { readonly bytes: number; readonly stuckAt: number; readonly validator: string };
  readonly verify?: 'always';
}

const job = JSON.parse(process.argv[2] ?? '') as Job;
const store = new BundleStore({ cacheDir: job.cacheDir, verify: job.verify });
const context = contextOf();
const image = imageOf({
  ...job.image,
  ...(job.kernelBytes === undefined ? {} : { kernel: kernelOf(job.kernelBytes) }),
  ...(job.stuckKernel === undefined ? {} : { kernel: stuckKernel(job.stuckKernel) }),
  onOpen: async () => {
    if (job.counter !== undefined) appendFileSync(job.counter, `${process.pid}\n`);
    await sleep(job.openMs ?? 0);
    // Something must keep the event loop, or Node ends by itself.
    if (job.hangs === true) await sleep(600_000);
  },
});

try {
  console.log(JSON.stringify({ ok: true, result: await act(), warnings: context.warnings }));
} catch (error) {
  const told = error instanceof SmartVMError ? { code: error.code, hint: error.hint } : {};
  console.log(JSON.stringify({ ok: false, message: String(error), ...told }));
}

function kernelOf({ bytes, known }: NonNullable<Job['kernelBytes']>): ArtifactOptions {
  return { content: Buffer.alloc(bytes, 'x'), sha256: known, bytes: known };
}

function stuckKernel({ bytes, stuckAt, validator }: NonNullable<Job['stuckKernel']>): ArtifactOptions {
  const onChunk = async (position: number): Promise<void> => {
    if (position >= stuckAt) await sleep(600_000);
  };
  return { content: noise(bytes), validator, onChunk };
}

async function act(): Promise<unknown> {
  switch (job.act) {
    case 'add':
      return await store.add(image, context);
    case 'replace':
      return await store.add(image, context, { replace: true });
    case 'find':
      return (await store.find(image, context)) ?? null;
    case 'list':
      return await store.list();
    case 'prune':
      return await store.prune({ limit: 1 }, context);
    case 'prune-nothing':
      return await store.prune({ limit: 5, reportKept: false }, context);
    case 'remove': {
      const bundle = await store.find(image, context);
      if (bundle !== undefined) await store.remove(bundle, context);
      return null;
    }
    case 'lease': {
      const bundle = await store.find(image, context);
      if (bundle === undefined) return null;
      await leaseBundle(bundle.bundleDir);
      console.log('leased');
      await sleep(600_000);
      return null;
    }
  }
}
