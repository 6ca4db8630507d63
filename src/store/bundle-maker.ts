import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  transferBytes,
  type Artifact,
  type ArtifactRole,
  type Bundle,
  type Context,
  type ResolvedImage,
} from '../image.ts';
import type { Blobs, CheckOptions, Content } from './blobs.ts';
import { artifactsOf } from './bundle-key.ts';
import { bestEffort, randomSuffix, unlessMissing } from './files.ts';
import { ingest } from './ingest.ts';
import type { Layout } from './layout.ts';
import { withLock } from './lock.ts';
import { publish } from './publish.ts';
import { filesOf, readRecord, type BundleRecord, type RecordedFile } from './record.ts';
import { ensureSpace } from './space.ts';
import { reading, writing } from './store-error.ts';
import { discard } from './sweep.ts';

/** What is taken from a source that does not say how much it will give. */
const MAX_BYTES: Readonly<Record<ArtifactRole, number>> = {
  kernel: 1024 ** 3,
  initrd: 4 * 1024 ** 3,
  rootfs: 64 * 1024 ** 3,
};

export interface MakeOptions {
  /** Fetch everything, whatever is here; the bundle of that name, if any, is replaced when the new one is whole. */
  readonly replace: boolean;
  readonly scrubAfterMs: number;
}

/** One attempt at one bundle: a fresh folder in staging, and what has arrived in it, digests by file name. */
interface Attempt extends MakeOptions {
  readonly staging: string;
  readonly obtained: Map<string, string>;
}

/** Makes bundles. To be asked under the lock of the bundle's key. */
export class BundleMaker {
  readonly #layout: Layout;
  readonly #blobs: Blobs;

  constructor(layout: Layout, blobs: Blobs) {
    this.#layout = layout;
    this.#blobs = blobs;
  }

  /** Fetches an image and makes it visible as the bundle `dirName`, whole. When it rejects, what was there is still there. */
  async make(image: ResolvedImage, dirName: string, context: Context, options: MakeOptions): Promise<Bundle> {
    const staging = join(this.#layout.staging, `${dirName}.${randomSuffix()}`);
    const attempt: Attempt = { ...options, staging, obtained: new Map() };
    await writing('begin a bundle', () => mkdir(staging, { mode: 0o700 }));
    try {
      const files = await this.#gather(image, attempt, context);
      const { facts, observations = [] } = image;
      const record: BundleRecord = {
        schemaVersion: 1,
        facts,
        files,
        ...(observations.length === 0 ? {} : { observations }),
        createdAt: new Date().toISOString(),
      };
      return await writing(`publish ${image.facts.bundleId}`, () =>
        publish(this.#layout, this.#blobs, staging, dirName, record),
      );
    } catch (error) {
      await bestEffort(() => discard(this.#layout, this.#blobs, staging, attempt.obtained));
      throw error;
    }
  }

  /** How many bytes making this image would fetch; `undefined` when a source does not say a size that matters. */
  async bytesToFetch({ artifacts }: ResolvedImage): Promise<number | undefined> {
    const known = await this.#knownContents();
    let bytes = 0;
    for (const [, artifact] of artifactsOf(artifacts)) {
      const sha256 = artifact.sha256?.toLowerCase() ?? known.get(artifact.identity);
      if (sha256 !== undefined && (await this.#blobs.has(sha256))) continue;
      const toFetch = transferBytes(artifact);
      if (toFetch === undefined) return undefined;
      bytes += toFetch;
    }
    return bytes;
  }

  /** All artifacts at once; the first failure ends the others, and nothing is left running when it is told. */
  async #gather({ artifacts }: ResolvedImage, attempt: Attempt, context: Context): Promise<BundleRecord['files']> {
    const known = attempt.replace ? new Map<string, string>() : await this.#knownContents();
    const contentOf = ({ sha256, identity }: Artifact): string | undefined =>
      sha256?.toLowerCase() ?? known.get(identity);
    await ensureSpace(this.#layout.root, await this.#bytesToFetch(artifactsOf(artifacts), contentOf, attempt));

    const others = new AbortController();
    const signal = context.signal === undefined ? others.signal : AbortSignal.any([context.signal, others.signal]);
    const obtain = async (role: ArtifactRole, artifact: Artifact): Promise<RecordedFile> => {
      try {
        const content = await this.#obtain(role, artifact, contentOf(artifact), attempt, { ...context, signal });
        attempt.obtained.set(artifact.fileName, content.sha256);
        return recorded(artifact, content);
      } catch (error) {
        if (!others.signal.aborted) others.abort(error);
        throw error;
      }
    };
    const { kernel, rootfs, initrd } = artifacts;
    const all = [obtain('kernel', kernel), obtain('rootfs', rootfs), initrd && obtain('initrd', initrd)] as const;
    await Promise.allSettled(all.filter((one) => one !== undefined));
    context.signal?.throwIfAborted();
    if (others.signal.aborted) throw others.signal.reason;
    const files = { kernel: await all[0], rootfs: await all[1] };
    const third = await all[2];
    return third === undefined ? files : { ...files, initrd: third };
  }

  async #bytesToFetch(
    artifacts: readonly (readonly [ArtifactRole, Artifact])[],
    contentOf: (artifact: Artifact) => string | undefined,
    { replace }: Attempt,
  ): Promise<number> {
    let bytes = 0;
    for (const [, artifact] of artifacts) {
      const sha256 = contentOf(artifact);
      const isHere = !replace && sha256 !== undefined && (await this.#blobs.has(sha256));
      if (!isHere) bytes += artifact.bytes ?? 0;
    }
    return bytes;
  }

  /** One artifact as a file in staging: linked when its content is here, else fetched, under the lock of its content. */
  async #obtain(
    role: ArtifactRole,
    artifact: Artifact,
    sha256: string | undefined,
    { staging, replace, scrubAfterMs }: Attempt,
    context: Context,
  ): Promise<Content> {
    const path = join(staging, artifact.fileName);
    const check: CheckOptions = { scrubAfterMs, signal: context.signal };
    const obtain = async (): Promise<Content> => {
      if (sha256 !== undefined && !replace) {
        const content = await this.#blobs.linkTo(path, sha256, check);
        if (content !== undefined && (artifact.bytes ?? content.bytes) === content.bytes) return content;
        if (content !== undefined) await this.#blobs.drop(path, sha256);
      }
      const content = await fetchTo(path, role, artifact, context);
      // What is replaced is not to be believed: the content that is here is kept only when a full hash says that it is good.
      const adopting = replace ? { ...check, scrubAfterMs: -Infinity } : check;
      await writing(`store ${artifact.fileName}`, () => this.#blobs.adopt(path, content, adopting));
      return content;
    };
    if (artifact.sha256 === undefined) return await obtain();
    const lock = join(this.#layout.locks, `content-${artifact.sha256.toLowerCase()}.lock`);
    return await withLock(lock, { signal: context.signal }, obtain);
  }

  /** Digests of contents that bundles here already hold, by what their source calls them. */
  async #knownContents(): Promise<Map<string, string>> {
    const known = new Map<string, string>();
    await reading('read the records of the cache', async () => {
      for (const name of (await unlessMissing(() => readdir(this.#layout.bundles))) ?? []) {
        const record = await readRecord(join(this.#layout.bundles, name));
        if (record === undefined || record === 'damaged') continue;
        for (const [, { identity, sha256 }] of filesOf(record)) known.set(identity, sha256);
      }
    });
    return known;
  }
}

function fetchTo(path: string, role: ArtifactRole, artifact: Artifact, context: Context): Promise<Content> {
  const { fileName, bytes: totalBytes } = artifact;
  const total = totalBytes === undefined ? {} : { totalBytes };
  return ingest(artifact, path, context, {
    maxBytes: MAX_BYTES[role],
    onBytes: (bytes) => context.onProgress({ phase: 'fetch', role, fileName, bytes, ...total }),
  });
}

function recorded(artifact: Artifact, { sha256, bytes }: Content): RecordedFile {
  const promised = (['sha256', 'bytes'] as const).filter((field) => artifact[field] !== undefined);
  return { fileName: artifact.fileName, identity: artifact.identity, sha256, bytes, promised };
}
