import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { BaseImageManager, type BaseImageManagerOptions, type Bundle, type EnsureBaseImageOptions } from 'smartvm';
import { startFakeBucket, type FakeBucket } from '../support/fake-bucket.ts';
import { startHttpServer } from '../support/http-server.ts';

/** A kernel by its first bytes, so that nothing takes it for a page of a web site. */
export const KERNEL = Buffer.concat([Buffer.from('\u007fELF', 'latin1'), Buffer.alloc(60, 1)]);
export const ROOTFS = Buffer.concat([Buffer.from('hsqs', 'latin1'), Buffer.alloc(92, 2)]);

/** A manager with a cache of its own, and the warnings it gave. */
export interface World {
  readonly images: BaseImageManager;
  readonly folder: string;
  readonly warnings: string[];
}

/** A folder that goes with the test, and a manager whose cache lies in it. */
export async function worldOf(t: TestContext, options: BaseImageManagerOptions = {}): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), 'smartvm-contract-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const warnings: string[] = [];
  const logger = { warn: (text: string) => void warnings.push(text), info: () => undefined };
  return { folder, warnings, images: new BaseImageManager({ cacheDir: join(folder, 'cache'), logger, ...options }) };
}

/** The same with a bucket that holds just these names under `firecracker-ci/`, and a newest release. */
export async function bucketWorld(
  t: TestContext,
  names: readonly string[],
  release = 'v1.15.1',
  options: BaseImageManagerOptions = {},
): Promise<World & { readonly bucket: FakeBucket }> {
  const bucket = await startFakeBucket();
  t.after(() => bucket.close());
  bucket.release = release;
  for (const name of names) {
    const content = /vmlinux|bzImage/.test(name) ? KERNEL : ROOTFS;
    bucket.put(`firecracker-ci/${name}`, Buffer.concat([content, Buffer.from(name)]));
  }
  const { bucketUrl, releasesUrl } = bucket;
  return { bucket, ...(await worldOf(t, { bucketUrl, releasesUrl, ...options })) };
}

/** Fields of a manifest, and of its artifacts; `undefined` leaves one out. */
export type Fields = Readonly<Record<string, unknown>>;

/** A folder with a kernel, a root file system and a manifest that names both. */
export interface ManifestWorld extends World {
  readonly manifestPath: string;
  /** Writes the manifest with these fields instead of its own. */
  readonly write: (fields?: Fields) => Promise<void>;
  /** Writes it and asks for it. */
  readonly ensure: (fields?: Fields, call?: EnsureBaseImageOptions) => Promise<Bundle>;
}

export async function manifestWorld(t: TestContext, options: BaseImageManagerOptions = {}): Promise<ManifestWorld> {
  const world = await worldOf(t, options);
  const manifestPath = join(world.folder, 'image.manifest.json');
  await writeFile(join(world.folder, 'vmlinux'), KERNEL);
  await writeFile(join(world.folder, 'rootfs.ext4'), ROOTFS);
  const own = { ...FACTS, kernel: { path: 'vmlinux' }, rootfs: { path: 'rootfs.ext4' } };
  const write = (fields: Fields = {}): Promise<void> => writeFile(manifestPath, JSON.stringify({ ...own, ...fields }));
  return {
    ...world,
    manifestPath,
    write,
    ensure: async (fields, call) => {
      await write(fields);
      return await world.images.ensureBaseImage({ manifestPath, ...call });
    },
  };
}

/** What a manifest says besides its artifacts. */
export const FACTS = {
  schemaVersion: 1,
  bundleId: 'minimal',
  arch: 'x86_64',
  firecrackerVersion: 'v1.15.1',
  rootfsType: 'ext4',
} as const;

/** SHA-256 as lower-case hex. */
export function digestOf(content: Uint8Array | string): string {
  return createHash('sha256').update(content).digest('hex');
}

/** Files behind a web server, by their path; each can be changed, and every request is kept in order. */
export interface Web {
  readonly origin: string;
  readonly files: Map<string, Uint8Array | string>;
  readonly requests: string[];
  /** Status of every answer. */
  status: number;
  /** How long every answer takes. */
  delayMs: number;
}

export async function startWeb(t: TestContext, files: Readonly<Record<string, Uint8Array | string>>): Promise<Web> {
  const web = { files: new Map(Object.entries(files)), requests: [] as string[], status: 200, delayMs: 0 };
  const server = await startHttpServer((request, response) => {
    const path = decodeURIComponent((request.url ?? '/').replace(/\?.*$/, ''));
    web.requests.push(path);
    const content = web.files.get(path);
    setTimeout(() => {
      response.writeHead(content === undefined ? 404 : web.status, { 'content-type': 'application/octet-stream' });
      response.end(content);
    }, web.delayMs);
  });
  t.after(() => server.close());
  return Object.assign(web, { origin: server.origin });
}
