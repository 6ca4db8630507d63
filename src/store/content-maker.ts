import { SmartVMError } from '../errors.ts';
import type { Artifact, ArtifactRole, Context } from '../image.ts';
import type { Blobs, CheckOptions, Content } from './blobs.ts';
import { fetchContent } from './fetch-content.ts';
import { openForReading, statOf } from './files.ts';
import { hashFile } from './hash.ts';
import { contentKey, type KnownContents } from './known-contents.ts';
import type { Layout } from './layout.ts';
import { withLock } from './lock.ts';
import { writing } from './store-error.ts';

export interface ContentOptions {
  /** Fetch it, whatever is here. */
  readonly replace: boolean;
  readonly scrubAfterMs: number;
  /** Read back what was written before it is believed. */
  readonly readBack: boolean;
}

/** Brings single files into the cache: one at a time for each content, over all processes. */
export class ContentMaker {
  readonly #layout: Layout;
  readonly #blobs: Blobs;
  readonly #known: KnownContents;

  constructor(layout: Layout, blobs: Blobs, known: KnownContents) {
    this.#layout = layout;
    this.#blobs = blobs;
    this.#known = known;
  }

  /** One artifact as a file at `path`: linked when its content is here, else fetched, under the lock of its content. */
  async obtain(
    role: ArtifactRole,
    artifact: Artifact,
    recordedSha256: string | undefined,
    path: string,
    options: ContentOptions,
    context: Context,
  ): Promise<Content> {
    const { signal } = context;
    const key = contentKey(artifact);
    const onWait = (holder: string): void =>
      context.onProgress({ phase: 'step', message: `waiting for ${holder}, which fetches ${artifact.fileName}` });
    return await withLock(this.#layout.contentLock(key), { signal, onWait }, async () => {
      const check: CheckOptions = { scrubAfterMs: options.scrubAfterMs, signal };
      // Somebody may have fetched it while we waited.
      const sha256 = artifact.sha256?.toLowerCase() ?? recordedSha256 ?? (await this.#known.remembered(artifact));
      if (sha256 !== undefined && !options.replace) {
        const content = await this.#blobs.linkTo(path, sha256, check);
        if (content !== undefined && (artifact.bytes ?? content.bytes) === content.bytes) return content;
        if (content !== undefined) await this.#blobs.drop(path, sha256);
      }
      const wanted = { role, artifact, anew: options.replace };
      const content = await fetchContent(wanted, this.#layout.partial(key), path, context);
      if (options.readBack) await requireWritten(path, content, signal);
      // What is replaced is not to be believed: the content that is here is kept only when a full hash says that it is good.
      const adopting = options.replace ? { ...check, scrubAfterMs: -Infinity } : check;
      await writing(`store ${artifact.fileName}`, () => this.#blobs.adopt(path, content, adopting));
      if (artifact.sha256 === undefined) await this.#known.remember(artifact, content.sha256);
      return content;
    });
  }

  /** How many bytes of it are here from an attempt that was cut, as far as one can tell without reading them. */
  async keptBytes(artifact: Artifact): Promise<number> {
    const { part, journal } = this.#layout.partial(contentKey(artifact));
    if ((await statOf(journal)) === undefined) return 0;
    const { size = 0n, blocks = 0n } = (await statOf(part)) ?? {};
    return Math.min(Number(size), Number(blocks) * 512, artifact.bytes ?? Infinity);
  }
}

/** A disk that says it wrote is not believed: the file is read from its beginning. */
async function requireWritten(path: string, content: Content, signal: AbortSignal | undefined): Promise<void> {
  const handle = await openForReading(path);
  const sha256 = await hashFile(handle, signal).finally(() => handle.close());
  if (sha256 === content.sha256) return;
  throw new SmartVMError(
    `${path} was written with SHA-256 ${content.sha256} and reads back with ${sha256}`,
    'STORE_DIGEST_MISMATCH',
    {
      hint: 'The disk of the cache does not keep what it is given: check it, and name another one with SMARTVM_CACHE_DIR.',
    },
  );
}
