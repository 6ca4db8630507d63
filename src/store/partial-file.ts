import { constants } from 'node:fs';
import { chmod, open, rename, rm, type FileHandle } from 'node:fs/promises';
import type { Artifact, ArtifactStream } from '../image.ts';
import { bestEffort, statOf } from './files.ts';
import { HashedFile } from './hashed-file.ts';
import { Journal } from './journal.ts';
import type { PartialPaths } from './layout.ts';
import { soundPart, type SoundPart } from './sound-part.ts';
import { writing } from './store-error.ts';

/** So much is lost at most when the process is killed: these bytes, or what came in this time, whichever is less. */
const CHECKPOINT_BYTES = 16 * 1024 * 1024;
const CHECKPOINT_MS = 5000;

/**
 * A file that is being fetched. To be used under the lock of its content. When an attempt fails, what has arrived stays for
 * the next one, in this process or another, provided that its source can give the rest alone.
 */
export class PartialFile {
  readonly #path: string;
  readonly #journalPath: string;
  readonly #journal: Journal;
  readonly #artifact: Artifact;
  readonly #handle: FileHandle;
  #kept: SoundPart | undefined;
  #file: HashedFile | undefined;

  private constructor({ part, journal }: PartialPaths, artifact: Artifact, handle: FileHandle) {
    this.#path = part;
    this.#journalPath = journal;
    this.#journal = new Journal(journal);
    this.#artifact = artifact;
    this.#handle = handle;
  }

  /** Opens the file of this content. What is there of it already is hashed again, and cut off where it is not as it was. */
  static async open(paths: PartialPaths, artifact: Artifact, signal: AbortSignal | undefined): Promise<PartialFile> {
    const path = paths.part;
    const handle = await writing(`create ${path}`, async () => {
      const found = await statOf(path);
      if (found?.isFile() === false) await rm(path, { recursive: true, force: true });
      // A process that was killed when it was whole has left it read-only.
      else if (found !== undefined) await chmod(path, 0o600);
      return await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
    });
    const partial = new PartialFile(paths, artifact, handle);
    try {
      const kept = await soundPart(handle, await partial.#journal.read(), artifact, signal);
      if (kept === undefined) await partial.clear();
      else await writing(`cut ${path}`, () => handle.truncate(kept.bytes));
      partial.#kept = kept;
      return partial;
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** What the next stream is to go on after; `undefined`: it begins at 0. */
  get kept(): SoundPart | undefined {
    return this.#kept;
  }

  /** Forgets what is there: the next stream begins at 0. */
  async clear(): Promise<void> {
    await this.#file?.settle();
    this.#kept = undefined;
    this.#file = undefined;
    await this.#journal.close();
    await bestEffort(() => rm(this.#journalPath, { recursive: true, force: true }));
    // Holes are not written: what was there would show through them.
    await writing(`empty ${this.#path}`, () => this.#handle.truncate(0));
  }

  /** The file, ready for the bytes of this stream, which goes on after what is kept. */
  async fill(stream: Pick<ArtifactStream, 'validator'>, onWritten: (bytes: number) => void): Promise<HashedFile> {
    if (this.#kept !== undefined) await this.#journal.continue();
    else if (stream.validator !== undefined) await this.#journal.begin();
    await this.#journal.say(this.#artifact, stream.validator);
    let [notedBytes, notedAt] = [this.#kept?.bytes ?? 0, performance.now()];
    const file = new HashedFile(this.#handle, {
      fileName: this.#artifact.fileName,
      path: this.#path,
      totalBytes: this.#artifact.bytes ?? 0,
      ...(this.#kept === undefined ? {} : { beginning: this.#kept }),
      onWritten: async (bytes) => {
        onWritten(bytes);
        const isDue = bytes - notedBytes >= CHECKPOINT_BYTES || performance.now() - notedAt >= CHECKPOINT_MS;
        if (!isDue || !this.#journal.canBeContinued) return;
        [notedBytes, notedAt] = [bytes, performance.now()];
        await this.#note(file, stream);
      },
    });
    this.#file = file;
    return file;
  }

  /** Makes the whole file durable and read-only, and moves it to where it belongs. */
  async moveTo(path: string): Promise<void> {
    await writing(`sync ${this.#path}`, async () => {
      await this.#handle.chmod(0o444);
      await this.#handle.sync();
      await rename(this.#path, path);
    });
    await bestEffort(() => rm(this.#journalPath, { force: true }));
  }

  /** After a failure: what has arrived stays, durably, when its stream says that it can be gone on with; else it is removed. */
  async leave(stream: Pick<ArtifactStream, 'validator'> | undefined): Promise<void> {
    const file = this.#file;
    const stays =
      file === undefined || stream === undefined ? this.#kept !== undefined : await this.#secure(file, stream);
    if (!stays) await this.remove();
  }

  async remove(): Promise<void> {
    await this.#file?.settle();
    for (const path of [this.#journalPath, this.#path]) await bestEffort(() => rm(path, { force: true }));
  }

  async close(): Promise<void> {
    await this.#file?.settle();
    await this.#journal.close();
    await this.#handle.close();
  }

  /** True when what was taken is on the disk to be gone on with. */
  async #secure(file: HashedFile, stream: Pick<ArtifactStream, 'validator'>): Promise<boolean> {
    try {
      await file.flush();
      await this.#note(file, stream);
      await this.#handle.sync();
      await this.#journal.sync();
      return this.#journal.canBeContinued && file.bytes > 0;
    } catch {
      return false;
    }
  }

  async #note(file: HashedFile, { validator }: Pick<ArtifactStream, 'validator'>): Promise<void> {
    await file.extend();
    await this.#journal.say(this.#artifact, validator);
    await this.#journal.note({ bytes: file.bytes, sha256: file.digest() });
  }
}
