import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BaseImageManager, type BaseImageManagerOptions } from 'smartvm';
import { anywhere, chance, noise, putImage, reset, startFaultyServer, status, type Behaviour } from 'smartvm/testing';

/** What one image cost. */
export interface Pulled {
  readonly isRight: boolean;
  /** Bytes of bodies that the server sent, of failures too, and of the manifest. */
  readonly movedBytes: number;
  /** Bytes of the image and its manifest. */
  readonly usefulBytes: number;
  readonly requests: number;
  readonly failures: number;
}

export interface PullOptions {
  /** The same seed gives the same failures. */
  readonly seed: number;
  readonly kernelBytes: number;
  readonly rootfsBytes: number;
  readonly manager?: BaseImageManagerOptions | undefined;
}

/** Half of all requests fail: with 503, or with a reset at any byte of the body. */
function halfFailing(seed: number): Behaviour {
  return chance(0.5, seed, [status(503), reset({ afterBytes: anywhere(seed) })]);
}

/** Gets an image into a fresh cache from a server that fails half of the time. Rejects when that does not succeed. */
export async function pullHalfFailing(options: PullOptions): Promise<Pulled> {
  const { seed, kernelBytes, rootfsBytes, manager } = options;
  const [kernel, rootfs] = [noise(kernelBytes, seed), noise(rootfsBytes, -seed)];
  const folder = await mkdtemp(join(tmpdir(), 'smartvm-half-failing-'));
  const server = await startFaultyServer({ scripts: { '*': [halfFailing(seed)] } });
  try {
    const manifestUrl = putImage(server, { kernel, rootfs });
    const images = new BaseImageManager({ cacheDir: join(folder, 'cache'), limits: { retries: 10 }, ...manager });
    const { kernelImagePath, rootfsPath } = await images.ensureBaseImage({ manifestUrl });
    const isRight = (await readFile(kernelImagePath)).equals(kernel) && (await readFile(rootfsPath)).equals(rootfs);
    const manifestBytes = Math.max(...server.requestsFor('/image.json').map(({ bytesSent }) => bytesSent));
    // What answered without a failure is known by its last request: every file has one.
    const files = new Set(server.requests.map(({ path }) => path)).size;
    return {
      isRight,
      movedBytes: server.requests.reduce((sum, { bytesSent }) => sum + bytesSent, 0),
      usefulBytes: kernelBytes + rootfsBytes + manifestBytes,
      requests: server.requests.length,
      failures: server.requests.length - files,
    };
  } finally {
    await server.close();
    await rm(folder, { recursive: true });
  }
}
