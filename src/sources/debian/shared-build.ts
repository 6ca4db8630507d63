import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Artifact, ArtifactRole, ByteRange, Context } from '../../image.ts';
import { BUILT, build, type BuildPlan } from './build.ts';
import { recipeIdentity } from './recipe.ts';

/**
 * One build for all artifacts of an image. It begins with the first that is opened, in a private folder that is removed once
 * every artifact that was opened has been read or given up.
 */
export class SharedBuild {
  readonly #plan: BuildPlan;
  #readers = 0;
  #folder: Promise<string> | undefined;

  constructor(plan: BuildPlan) {
    this.#plan = plan;
  }

  artifact(role: ArtifactRole): Artifact {
    const { suite, arch, include, packages, epochSeconds } = this.#plan;
    const made = JSON.stringify([recipeIdentity(include), suite, arch, epochSeconds, packages]);
    const digest = createHash('sha256').update(made).digest('hex');
    return {
      fileName: BUILT[role],
      identity: `debian ${role} ${digest}`,
      open: async (context, range) => {
        this.#readers += 1;
        try {
          return this.#read(join(await this.#built(context), BUILT[role]), context, range);
        } catch (error) {
          await this.#leave();
          throw error;
        }
      },
    };
  }

  async *#read(path: string, { signal }: Context, range?: ByteRange): AsyncGenerator<Uint8Array> {
    try {
      const end = range?.end === undefined ? Infinity : range.end - 1;
      const stream = createReadStream(path, { start: range?.start ?? 0, end, highWaterMark: 1024 * 1024 });
      for await (const chunk of stream as AsyncIterable<Buffer>) {
        signal?.throwIfAborted();
        yield chunk;
      }
    } finally {
      await this.#leave();
    }
  }

  #built(context: Context): Promise<string> {
    this.#folder ??= this.#begin(context);
    return this.#folder;
  }

  async #begin(context: Context): Promise<string> {
    const folder = await mkdtemp(join(tmpdir(), 'smartvm-build-'));
    try {
      await build(this.#plan, folder, context);
      return folder;
    } catch (error) {
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
  }

  async #leave(): Promise<void> {
    this.#readers -= 1;
    if (this.#readers > 0 || this.#folder === undefined) return;
    const folder = this.#folder;
    this.#folder = undefined;
    await folder.then(
      (path) => rm(path, { recursive: true, force: true }),
      () => undefined,
    );
  }
}
