import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  transferBytes,
  type Artifact,
  type ArtifactRole,
  type Bundle,
  type Context,
  type ResolvedImage,
} from '../image.ts';
import type { Blobs, Content } from './blobs.ts';
import { artifactsOf } from './bundle-key.ts';
import { ContentMaker } from './content-maker.ts';
import { bestEffort, randomSuffix } from './files.ts';
import { KnownContents } from './known-contents.ts';
import type { Layout } from './layout.ts';
import { publish } from './publish.ts';
import type { BundleRecord, RecordedFile } from './record.ts';
import { ensureSpace } from './space.ts';
import { reading, writing } from './store-error.ts';
import { discard } from './sweep.ts';

export interface MakeOptions {
  /** Fetch everything, whatever is here; the bundle of that name, if any, is replaced when the new one is whole. */
  readonly replace: boolean;
  readonly scrubAfterMs: number;
  /** Read back what was written before it is believed. */
  readonly readBack: boolean;
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
  readonly #known: KnownContents;
  readonly #contents: ContentMaker;

  constructor(layout: Layout, blobs: Blobs) {
    this.#layout = layout;
    this.#blobs = blobs;
    this.#known = new KnownContents(layout);
    this.#contents = new ContentMaker(layout, blobs, this.#known);
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
  async bytesToFetch(image: ResolvedImage): Promise<number | undefined> {
    const artifacts = artifactsOf(image.artifacts).map(([, artifact]) => artifact);
    const recorded = await this.#recordedFor(artifacts);
    let bytes: number | undefined = 0;
    for (const artifact of artifacts) {
      const missing = await this.#missingBytes(artifact, transferBytes(artifact), recorded);
      bytes = bytes === undefined || missing === undefined ? undefined : bytes + missing;
    }
    return bytes;
  }

  /** All artifacts at once; the first failure ends the others, and nothing is left running when it is told. */
  async #gather({ artifacts }: ResolvedImage, attempt: Attempt, context: Context): Promise<BundleRecord['files']> {
    const wanted = artifactsOf(artifacts).map(([, artifact]) => artifact);
    const recorded = attempt.replace ? new Map<string, string>() : await this.#recordedFor(wanted);
    let neededBytes = 0;
    for (const artifact of wanted) {
      neededBytes +=
        (attempt.replace ? artifact.bytes : await this.#missingBytes(artifact, artifact.bytes, recorded)) ?? 0;
    }
    await ensureSpace(this.#layout.root, neededBytes);

    const others = new AbortController();
    const signal = context.signal === undefined ? others.signal : AbortSignal.any([context.signal, others.signal]);
    const obtain = async (role: ArtifactRole, artifact: Artifact): Promise<RecordedFile> => {
      try {
        const path = join(attempt.staging, artifact.fileName);
        const known = recorded.get(artifact.identity);
        const content = await this.#contents.obtain(role, artifact, known, path, attempt, { ...context, signal });
        attempt.obtained.set(artifact.fileName, content.sha256);
        return recordedFile(artifact, content);
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

  /** How many of `bytes` of an artifact are not here; `undefined` when nobody said how many there are. */
  async #missingBytes(
    artifact: Artifact,
    bytes: number | undefined,
    recorded: ReadonlyMap<string, string>,
  ): Promise<number | undefined> {
    const sha256 = artifact.sha256?.toLowerCase() ?? recorded.get(artifact.identity);
    if (sha256 !== undefined && (await this.#blobs.has(sha256))) return 0;
    return bytes === undefined ? undefined : Math.max(0, bytes - (await this.#contents.keptBytes(artifact)));
  }

  #recordedFor(artifacts: readonly Artifact[]): Promise<ReadonlyMap<string, string>> {
    return reading('read the records of the cache', () => this.#known.recordedFor(artifacts));
  }
}

function recordedFile(artifact: Artifact, { sha256, bytes }: Content): RecordedFile {
  const promised = (['sha256', 'bytes'] as const).filter((field) => artifact[field] !== undefined);
  return { fileName: artifact.fileName, identity: artifact.identity, sha256, bytes, promised };
}
