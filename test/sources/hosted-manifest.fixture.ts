import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { createSource } from '../../src/sources/hosted-manifest.ts';
import { startHttpServer } from '../support/http-server.ts';
import type { SourceFixture } from './contract.ts';

/** This one lies compressed. */
const INITRD = Buffer.alloc(5000, '070701');
const FILES: Readonly<Record<string, Buffer>> = {
  '/vmlinux': Buffer.alloc(100_000, '\x7fELF kernel'),
  '/rootfs.ext4': Buffer.alloc(300_000, 'root'),
  '/initrd.gz': gzipSync(INITRD),
};

export const fixture: SourceFixture = {
  async prepare() {
    const server = await startHttpServer((request, response) => {
      const { origin } = server;
      const file = FILES[request.url ?? ''];
      if (file === undefined) {
        response.end(JSON.stringify(manifest(origin)));
        return;
      }
      const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? [];
      if (first === undefined) {
        response.setHeader('content-length', file.byteLength).end(file);
        return;
      }
      const end = last ? Number(last) + 1 : file.byteLength;
      response.writeHead(206, { 'content-range': `bytes ${first}-${end - 1}/${file.byteLength}` });
      response.end(file.subarray(Number(first), end));
    });
    const source = createSource({ bucketUrl: '', releasesUrl: '', allowHttp: [] });
    return { source, locator: `${server.origin}/m.json`, request: { arch: 'aarch64' }, close: () => server.close() };
  },
};

function manifest(origin: string): object {
  const facts = (bytes: Buffer): object => ({
    sha256: createHash('sha256').update(bytes).digest('hex'),
    sizeBytes: bytes.byteLength,
  });
  const artifact = (path: string): object => {
    const bytes = FILES[path] ?? Buffer.alloc(0);
    const lying = { url: `${origin}${path}`, ...facts(bytes) };
    return path.endsWith('.gz')
      ? { ...lying, ...facts(INITRD), compressed: { format: 'gzip', ...facts(bytes) } }
      : lying;
  };
  return {
    schemaVersion: 1,
    bundleId: 'contract',
    arch: 'aarch64',
    firecrackerVersion: 'v1.15.1',
    rootfsType: 'ext4',
    kernel: artifact('/vmlinux'),
    rootfs: artifact('/rootfs.ext4'),
    initrd: artifact('/initrd.gz'),
  };
}
