// Runs in a network namespace of its own, whose loopback has a public address too.
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BaseImageManager, SmartVMError } from 'smartvm';
import { startFaultyServer } from 'smartvm/testing';

const PUBLIC = '93.184.216.34';
let location = '';
const publicHost = createServer((_, response) => response.writeHead(302, { location }).end());
await new Promise<void>((resolve) => publicHost.listen(0, PUBLIC, resolve));
const origin = `http://${PUBLIC}:${(publicHost.address() as AddressInfo).port}`;
const inside = await startFaultyServer({ files: { '/x': 'secret' } });
const { port } = inside;

const folder = await mkdtemp(join(tmpdir(), 'smartvm-public-host-'));
const manifestPath = join(folder, 'image.json');
const sha256 = createHash('sha256').update('secret').digest('hex');
await writeFile(
  manifestPath,
  JSON.stringify({
    schemaVersion: 1,
    bundleId: 'public',
    arch: 'x86_64',
    firecrackerVersion: 'v1.15.1',
    rootfsType: 'squashfs',
    kernel: { url: `${origin}/vmlinux`, sha256 },
    rootfs: { url: `${origin}/rootfs`, sha256 },
  }),
);

const outcomes: Record<string, string> = {};
for (const target of [
  `http://127.0.0.1:${port}/x`,
  `http://0x7f.1:${port}/x`,
  `http://[::ffff:127.0.0.1]:${port}/x`,
  `http://localhost:${port}/x`,
  `https://127.0.0.1:${port}/x`,
  `https://[::ffff:127.0.0.1]:${port}/x`,
  `http://169.254.169.254:${port}/x`,
  `http://10.0.0.1:${port}/x`,
]) {
  location = target;
  const allowHttp = [origin, ...['169.254.169.254', '10.0.0.1'].map((host) => `http://${host}:${port}`)];
  const limits = { retries: 0, connectTimeoutMs: 2000, firstByteTimeoutMs: 2000 };
  const images = new BaseImageManager({ cacheDir: join(folder, 'cache'), allowHttp, limits });
  const told = await images.ensureBaseImage({ manifestPath }).then(
    () => 'it was followed',
    (error: unknown) => {
      if (!(error instanceof SmartVMError)) return String(error);
      const cause = error.cause instanceof SmartVMError ? error.cause.code : String(error.cause);
      return `${error.code} ${cause}: ${error.message}`;
    },
  );
  outcomes[target] = `${told}, ${inside.requests.length} requests`;
}
publicHost.closeAllConnections();
await new Promise((resolve) => publicHost.close(resolve));
await inside.close();
await rm(folder, { recursive: true });
process.stdout.write(JSON.stringify(outcomes));
