import { createReadStream } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename } from 'node:path';
import type { Bundle } from 'smartvm';

/** A bundle on offer: any smartvm that can reach the address can ensure `manifestUrl`. */
export interface ServedBundle {
  readonly manifestUrl: string;
  close(): Promise<void>;
}

/** Serves a bundle of the cache on loopback: a hosted manifest, and beside it the files that it names with size and digest. */
export async function serveBundle(bundle: Bundle): Promise<ServedBundle> {
  const { checksums, sizes } = bundle;
  const paths = new Map([
    [basename(bundle.kernelImagePath), bundle.kernelImagePath],
    [basename(bundle.rootfsPath), bundle.rootfsPath],
    ...(bundle.initrdPath === undefined ? [] : [[basename(bundle.initrdPath), bundle.initrdPath] as const]),
  ]);
  const server = createServer((request, response) => {
    const name = basename(new URL(request.url ?? '/', 'http://host').pathname);
    const path = paths.get(name);
    if (name === 'bundle.manifest.json') {
      response.setHeader('content-type', 'application/json').end(JSON.stringify(manifest(), null, 2));
    } else if (path !== undefined) {
      createReadStream(path).pipe(response);
    } else {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  const artifact = (path: string, sha256: string, sizeBytes: number) => {
    return { url: `${origin}/${basename(path)}`, sha256, sizeBytes };
  };
  const manifest = () => ({
    schemaVersion: 1,
    bundleId: `hosted-${bundle.bundleId}`,
    arch: bundle.arch,
    firecrackerVersion: bundle.firecrackerVersion,
    rootfsType: bundle.rootfsType,
    rootfsIsReadOnly: bundle.rootfsIsReadOnly,
    bootArgs: bundle.bootArgs,
    kernel: artifact(bundle.kernelImagePath, checksums.kernelSha256, sizes.kernelBytes),
    rootfs: artifact(bundle.rootfsPath, checksums.rootfsSha256, sizes.rootfsBytes),
    ...(bundle.initrdPath === undefined
      ? {}
      : { initrd: artifact(bundle.initrdPath, checksums.initrdSha256 ?? '', sizes.initrdBytes ?? 0) }),
  });

  return {
    manifestUrl: `${origin}/bundle.manifest.json`,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
