import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import type { Artifact } from '../image.ts';
import { bestEffort, readText } from './files.ts';

/** The first bytes of a file, and the SHA-256 of exactly these. */
export interface Checkpoint {
  readonly bytes: number;
  readonly sha256: string;
}

/** What a journal says of the file beside it. */
export interface JournalText {
  /** What the artifact is called by its source. */
  readonly identity: string;
  /** What the rest is asked for with. */
  readonly validator: string;
  /** Smallest first. */
  readonly checkpoints: readonly Checkpoint[];
}

/**
 * The record of a file that is being fetched: appended to, never synced on the way, and believed in nothing that is not found
 * true when it is read.
 *
 * ```
 * {"identity":"…","validator":"…","totalBytes":314572800}
 * 16777216 <sha256 of the first 16777216 bytes>
 * 33554432 <sha256 of the first 33554432 bytes>
 * ```
 *
 * A line of JSON may come again: the last one holds. A line that is torn or makes no sense is passed over.
 */
export class Journal {
  readonly #path: string;
  #handle: FileHandle | undefined;
  #said: string | undefined;
  #validator: string | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** What it says; `undefined` when there is none, or nothing that can be gone on with. */
  async read(): Promise<JournalText | undefined> {
    let text: string | undefined;
    await bestEffort(async () => (text = await readText(this.#path)));
    return text === undefined ? undefined : parse(text);
  }

  /** True when whoever comes next can go on with what is noted here. */
  get canBeContinued(): boolean {
    return this.#handle !== undefined && this.#validator !== undefined;
  }

  /** Begins it anew. Where it cannot be written the file beside it cannot be gone on with, which is no failure. */
  async begin(): Promise<void> {
    const { O_WRONLY, O_CREAT, O_TRUNC, O_NOFOLLOW } = constants;
    await this.#open(() => open(this.#path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0o600));
  }

  /** Goes on after what is there, on a line of its own: the last one may be torn. */
  async continue(): Promise<void> {
    const { O_WRONLY, O_APPEND, O_NOFOLLOW } = constants;
    await this.#open(() => open(this.#path, O_WRONLY | O_APPEND | O_NOFOLLOW));
    await this.#append('');
  }

  /** Notes what the rest is to be asked for with, when that is new; `undefined`: it cannot be had. */
  async say({ identity, bytes: totalBytes }: Artifact, validator: string | undefined): Promise<void> {
    this.#validator = validator;
    const header = JSON.stringify({ identity, validator, totalBytes });
    if (header === this.#said) return;
    this.#said = header;
    await this.#append(header);
  }

  async note({ bytes, sha256 }: Checkpoint): Promise<void> {
    await this.#append(`${bytes} ${sha256}`);
  }

  async sync(): Promise<void> {
    await this.#unlessLost((handle) => handle.sync());
  }

  async close(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    this.#said = undefined;
    await handle?.close();
  }

  async #open(work: () => Promise<FileHandle>): Promise<void> {
    await this.close();
    await bestEffort(async () => (this.#handle = await work()));
  }

  async #append(line: string): Promise<void> {
    await this.#unlessLost((handle) => handle.appendFile(`${line}\n`));
  }

  /** A journal that cannot be written is given up: what it says already is no less true. */
  async #unlessLost(work: (handle: FileHandle) => Promise<void>): Promise<void> {
    const handle = this.#handle;
    if (handle !== undefined && !(await bestEffort(() => work(handle)))) await this.close();
  }
}

function parse(text: string): JournalText | undefined {
  let header: Header | undefined;
  const checkpoints: Checkpoint[] = [];
  for (const line of text.split('\n').slice(0, -1)) {
    const [, bytes, sha256] = /^(\d{1,15}) ([0-9a-f]{64})$/.exec(line) ?? [];
    if (bytes !== undefined && sha256 !== undefined) checkpoints.push({ bytes: Number(bytes), sha256 });
    else header = headerOf(line) ?? header;
  }
  if (header?.validator === undefined) return undefined;
  const { identity, validator } = header;
  return { identity, validator, checkpoints: checkpoints.sort((a, b) => a.bytes - b.bytes) };
}

interface Header {
  readonly identity: string;
  readonly validator: string | undefined;
}

function headerOf(line: string): Header | undefined {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value !== 'object' || value === null) return undefined;
    const { identity, validator }: { identity?: unknown; validator?: unknown } = value;
    if (typeof identity !== 'string') return undefined;
    return { identity, validator: typeof validator === 'string' ? validator : undefined };
  } catch {
    return undefined;
  }
}
