import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import {
  BaseImageManager,
  SmartVMError,
  type BaseImageManagerOptions,
  type Bundle,
  type EnsureBaseImageOptions,
  type ProgressEvent,
  type SmartVMErrorCode,
} from 'smartvm';
import { noise, putImage, startFaultyServer, type Behaviour, type FaultyServer } from 'smartvm/testing';
import { rejection } from '../support/rejection.ts';

/** Files by their first bytes what they should be, and long enough to be cut in many places. */
export const KERNEL = Buffer.concat([Buffer.from('\u007fELF', 'latin1'), noise(200_000, 1)]);
export const KERNEL_SHA256 = createHash('sha256').update(KERNEL).digest('hex');
export const ROOTFS = Buffer.concat([Buffer.from('hsqs', 'latin1'), noise(100_000, 2)]);

/** A manager whose image lies on a server that goes wrong, and whose patience is short. */
export interface World {
  readonly server: FaultyServer;
  readonly manifestUrl: string;
  readonly images: BaseImageManager;
  readonly events: readonly ProgressEvent[];
  readonly warnings: readonly string[];
  ensure(call?: EnsureBaseImageOptions): Promise<Bundle>;
  /** Another manager with a cache of its own, for the same image. */
  another(manager: BaseImageManagerOptions): Promise<Managed>;
  /** Names of what is left in staging, sorted. */
  leftovers(): Promise<string[]>;
}

/** What there is without a server too. */
export type Managed = Omit<World, 'server' | 'manifestUrl' | 'another'>;

export interface WorldOptions {
  /** What happens to the requests for the kernel. */
  readonly kernel?: readonly Behaviour[];
  /** Fields of the manifest instead of its own. */
  readonly fields?: Readonly<Record<string, unknown>>;
  /** The manifest names no sizes. */
  readonly hasSizes?: boolean;
  readonly tls?: { readonly key: string; readonly cert: string };
  readonly manager?: BaseImageManagerOptions;
}

export async function worldOf(t: TestContext, options: WorldOptions = {}): Promise<World> {
  const { kernel = [], fields, hasSizes = true, tls, manager } = options;
  const server = await startFaultyServer({ tls, scripts: { '/vmlinux': kernel } });
  t.after(() => server.close());
  const manifestUrl = putImage(server, { kernel: KERNEL, rootfs: ROOTFS, fields });
  if (!hasSizes) await withoutSizes(server);
  const another = (own?: BaseImageManagerOptions): Promise<Managed> => managerOf(t, own, { manifestUrl });
  return { server, manifestUrl, another, ...(await another(manager)) };
}

/** A manager with a cache of its own, which ends with the test. `asking` is what its `ensure` asks for. */
export async function managerOf(
  t: TestContext,
  options: BaseImageManagerOptions = {},
  asking: EnsureBaseImageOptions = {},
): Promise<Managed> {
  const folder = await mkdtemp(join(tmpdir(), 'smartvm-faults-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const events: ProgressEvent[] = [];
  const warnings: string[] = [];
  const cacheDir = join(folder, 'cache');
  const images = new BaseImageManager({
    cacheDir,
    onProgress: (event) => void events.push(event),
    logger: { warn: (text) => void warnings.push(text), info: () => undefined },
    ...options,
    limits: { connectTimeoutMs: 5000, firstByteTimeoutMs: 5000, idleTimeoutMs: 5000, retries: 1, ...options.limits },
  });
  return {
    images,
    events,
    warnings,
    ensure: (call) => images.ensureBaseImage({ ...asking, ...call }),
    leftovers: async () => (await readdir(join(cacheDir, 'v1', 'staging')).catch(() => [])).sort(),
  };
}

/** Fails the test unless the bundle holds the right bytes and nothing else is left of getting it. */
export async function assertRight(world: Pick<World, 'leftovers'>, bundle: Bundle): Promise<void> {
  assert.ok((await readFile(bundle.kernelImagePath)).equals(KERNEL), 'the kernel is not what it must be');
  assert.ok((await readFile(bundle.rootfsPath)).equals(ROOTFS), 'the root file system is not what it must be');
  assert.deepEqual(await world.leftovers(), []);
}

/** What a manifest says of the kernel, wherever it lies. */
export function kernelAt(url: string): object {
  return { url, sha256: KERNEL_SHA256, sizeBytes: KERNEL.byteLength };
}

/** What an error has to tell. */
export interface Told {
  /** Default: that the bundle could not be prepared. */
  readonly code?: SmartVMErrorCode;
  readonly cause: SmartVMErrorCode;
  /** Default: the host of the server. */
  readonly host?: string;
  /** In its words. */
  readonly says?: RegExp;
  /** How far the body came. */
  readonly bytes?: number;
  /** How often it was tried; nothing is said of a single try. */
  readonly tries?: number;
}

/** Fails the test unless asking fails with one typed error that tells all this, and the way out. */
export async function assertTold(
  { ensure, server }: Pick<World, 'ensure'> & { readonly server?: FaultyServer },
  { code = 'BASE_IMAGE_PREPARE_FAILED', cause, host = server && `127.0.0.1:${server.port}`, says, bytes, tries }: Told,
): Promise<SmartVMError> {
  const error = await rejection(ensure());
  assert.equal(error.code, code, error.message);
  const found = causes(error).map((one) => one.code);
  assert.ok(found.includes(cause), `${cause} is not among ${found.join(', ')}: ${error.message}`);
  assert.match(error.message, /^(?:Failed to|Refused to|Gave up) /);
  assert.ok(error.message.includes(host ?? ''), `${host ?? ''} is not in: ${error.message}`);
  if (says !== undefined) assert.match(error.message, says);
  if (bytes !== undefined) assert.match(error.message, new RegExp(`\\b${bytes}\\b`));
  if (tries !== undefined && tries > 1) {
    const said = /\btried (\d+) times|\bafter (\d+) tries/.exec(error.message);
    assert.equal(Number(said?.[1] ?? said?.[2]), tries, error.message);
  }
  assert.notEqual(error.hint ?? '', '', 'it names no way out');
  return error;
}

/** Fails the test unless staging is empty but for files that can be continued, each with what it needs for that. */
export async function assertOnlyContinuable({ leftovers }: Pick<World, 'leftovers'>): Promise<void> {
  const left = await leftovers();
  const parts = left.filter((name) => /^[0-9a-f]{64}\.part$/.test(name));
  assert.deepEqual(left, parts.flatMap((name) => [name, `${name}.journal`]).sort());
}

/** Fails the test unless the next call asks for the rest of the kernel alone, from this byte on, and gets it right. */
export async function assertContinues(world: World, fromByte: number): Promise<void> {
  const { server } = world;
  await assertOnlyContinuable(world);
  server.script('/vmlinux', []);
  const before = server.requestsFor('/vmlinux').length;
  await assertRight(world, await world.ensure());
  assert.deepEqual(
    server
      .requestsFor('/vmlinux')
      .slice(before)
      .map(({ range }) => range),
    [`bytes=${fromByte}-`],
  );
}

/** The `Range` of every request for the kernel; `''` for none. */
export function rangesOf({ server }: Pick<World, 'server'>): string[] {
  return server.requestsFor('/vmlinux').map(({ range = '' }) => range);
}

function causes(error: unknown): SmartVMError[] {
  const found: SmartVMError[] = [];
  for (let one = error; one instanceof Error; one = one.cause) if (one instanceof SmartVMError) found.push(one);
  return found;
}

/** The manifest as it is served, without what it says of sizes. */
async function withoutSizes(server: FaultyServer): Promise<void> {
  const response = await fetch(server.url('/image.json'));
  server.put('/image.json', (await response.text()).replaceAll(/,"sizeBytes":\d+/g, ''));
}
