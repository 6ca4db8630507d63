import { createHash } from 'node:crypto';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';

/** A web server with one image on it. */
export interface ImageServer {
  readonly manifestUrl: string;
  /** Resolves when bytes of the root file system are under way. */
  readonly rootfsStarted: Promise<void>;
}

const KERNEL = Buffer.alloc(256 * 1024, 'k');
const ROOTFS = Buffer.alloc(8 * 1024 * 1024, 'r');

/** Serves the root in pieces with a pause after each; `stalls` never comes to the second half. */
export async function imageServer(t: TestContext, { stalls = false, pauseMs = 0 } = {}): Promise<ImageServer> {
  let started = (): void => undefined;
  const rootfsStarted = new Promise<void>((resolve) => (started = resolve));
  const server = createServer((request, response) => {
    if (request.url === '/m.json') response.setHeader('content-type', 'application/json').end(manifest());
    else if (request.url === '/vmlinux') response.setHeader('content-length', KERNEL.length).end(KERNEL);
    else if (request.url === '/rootfs.squashfs') void trickle(response);
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  t.after(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  async function trickle(response: ServerResponse): Promise<void> {
    response.setHeader('content-length', ROOTFS.length);
    for (let sent = 0; sent < ROOTFS.length && !response.destroyed; sent += ROOTFS.length / 8) {
      response.write(ROOTFS.subarray(sent, sent + ROOTFS.length / 8));
      started();
      if (stalls && sent >= ROOTFS.length / 2) return;
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
    response.end();
  }
  const artifact = (name: string, bytes: Buffer): object => {
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    return { url: `${origin}/${name}`, sha256, sizeBytes: bytes.length };
  };
  const manifest = (): string =>
    JSON.stringify({
      schemaVersion: 1,
      bundleId: 'served',
      arch: process.arch === 'arm64' ? 'aarch64' : 'x86_64',
      firecrackerVersion: 'v1.9.0',
      rootfsType: 'squashfs',
      kernel: artifact('vmlinux', KERNEL),
      rootfs: artifact('rootfs.squashfs', ROOTFS),
    });
  return { manifestUrl: `${origin}/m.json`, rootfsStarted };
}
