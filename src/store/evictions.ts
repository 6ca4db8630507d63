import { rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bestEffort, unlessMissing } from './files.ts';

/** An image that is wanted again this soon after it had to go says that the limit is too low. */
export const SOON_MS = 24 * 60 * 60_000;

/** Notes, beside the times of use, which bundles had to make room and when: `used/<bundle dir name>.evicted`. */
export class Evictions {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async note(dirName: string): Promise<void> {
    await bestEffort(() => writeFile(this.#pathOf(dirName), '', { mode: 0o600 }));
  }

  /** How long ago this bundle had to go, when that was not long ago; it is forgotten with that. */
  async takeAgeMs(dirName: string): Promise<number | undefined> {
    const path = this.#pathOf(dirName);
    const stats = await unlessMissing(() => stat(path));
    if (stats === undefined) return undefined;
    await bestEffort(() => rm(path, { force: true }));
    const ageMs = Math.max(0, Date.now() - stats.mtimeMs);
    return ageMs <= SOON_MS ? ageMs : undefined;
  }

  #pathOf(dirName: string): string {
    return join(this.#folder, `${dirName}.evicted`);
  }
}
