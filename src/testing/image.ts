import { createHash } from 'node:crypto';
import type { FaultyServer } from './faulty-server.ts';

export interface ServedImageOptions {
  readonly kernel: Uint8Array | string;
  readonly rootfs: Uint8Array | string;
  readonly initrd?: Uint8Array | string | undefined;
  /** Other fields of the manifest, or others instead of its own: `arch`, `bundleId`, `bootArgs`, … */
  readonly fields?: Readonly<Record<string, unknown>> | undefined;
}

/**
 * Puts an image on a server: its files under `/vmlinux`, `/rootfs` and `/initrd`, and `/image.json`, a manifest with their digests and
 * sizes, whose address is returned. It is what `manifestUrl` takes.
 */
export function putImage(server: FaultyServer, { kernel, rootfs, initrd, fields }: ServedImageOptions): string {
  const put = (path: string, content: Uint8Array | string): object => {
    const sha256 = createHash('sha256').update(content).digest('hex');
    return { url: server.put(path, content), sha256, sizeBytes: Buffer.byteLength(content) };
  };
  const manifest = {
    schemaVersion: 1,
    bundleId: 'served-image',
    arch: 'x86_64',
    firecrackerVersion: 'v1.15.1',
    rootfsType: 'squashfs',
    kernel: put('/vmlinux', kernel),
    rootfs: put('/rootfs', rootfs),
    ...(initrd === undefined ? {} : { initrd: put('/initrd', initrd) }),
    ...fields,
  };
  return server.put('/image.json', { content: Buffer.from(JSON.stringify(manifest)), contentType: 'application/json' });
}
