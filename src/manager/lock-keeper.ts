import { dirname, isAbsolute, relative, resolve, sep } from 'node:path';
import type { Asked } from './asked.ts';
import { SmartVMError } from '../errors.ts';
import type { Arch } from '../image.ts';
import { readLockFile, writeLockFile } from '../lockfile/lock-file.ts';
import type { LockFile, LockedImage } from '../lockfile/lock.ts';
import type { EnsureBaseImageOptions } from '../options.ts';

/** One image of a lock file. */
export interface LockEntry {
  readonly key: string;
  readonly arch: Arch;
  readonly locked: LockedImage;
}

const CHOICE = / (kernel|rootfs|require|firecracker)=(\S+)$/;

/** One lock file: what it says of what is asked. It is read anew for every call. */
export class LockKeeper {
  readonly path: string;

  constructor(path: string) {
    this.path = resolve(path);
  }

  /** The name of what is asked in this file: the reference with its choices; paths are written from the folder of the file. */
  keyOf({ reference, text }: Asked): string {
    const { scheme, locator } = reference;
    if (scheme !== 'hosted-manifest' || !isAbsolute(locator)) return text;
    const near = relative(dirname(this.path), locator).split(sep).join('/');
    return near.startsWith('../../') ? text : near.startsWith('../') ? near : `./${near}`;
  }

  /** The options that ask for what has this name in the file. */
  optionsOf(key: string, arch: Arch): EnsureBaseImageOptions {
    let text = key;
    const choices: Record<string, string> = {};
    for (let match = CHOICE.exec(text); match !== null; match = CHOICE.exec(text)) {
      choices[match[1] ?? ''] = match[2] ?? '';
      text = text.slice(0, match.index);
    }
    const { kernel, rootfs, require, firecracker } = choices;
    const reference = /^\.{1,2}\//.test(text) ? resolve(dirname(this.path), text) : text;
    return { reference, arch, kernel, rootfs, require: require?.split(','), firecrackerVersion: firecracker };
  }

  async find(asked: Asked): Promise<LockedImage | undefined> {
    return (await this.#read()).images[this.keyOf(asked)]?.[asked.arch];
  }

  /** As `find`, where an answer has to be there. Rejects with `BASE_IMAGE_LOCK_MISMATCH` when it is not. */
  async require(asked: Asked): Promise<LockedImage> {
    const key = this.keyOf(asked);
    const { images } = await this.#read();
    const locked = images[key]?.[asked.arch];
    if (locked !== undefined) return locked;
    const there = Object.entries(images).flatMap(([name, arches]) =>
      Object.keys(arches).map((arch) => `${name} (${arch})`),
    );
    throw new SmartVMError(
      `Failed to find ${JSON.stringify(key)} for ${asked.arch} in the lock file ${this.path}, which has ${there.length === 0 ? 'nothing' : there.join(', ')}`,
      'BASE_IMAGE_LOCK_MISMATCH',
      { hint: `Add it: smartvm lock ${JSON.stringify(key)} --arch ${asked.arch}` },
    );
  }

  async entries(): Promise<readonly LockEntry[]> {
    const { images } = await this.#read();
    return Object.entries(images).flatMap(([key, arches]) =>
      (['x86_64', 'aarch64'] as const).flatMap((arch) => {
        const locked = arches[arch];
        return locked === undefined ? [] : [{ key, arch, locked }];
      }),
    );
  }

  /** Writes these images into the file, beside what is there. */
  async write(entries: readonly LockEntry[]): Promise<void> {
    const { images } = await this.#read();
    const all: LockFile['images'] = { ...images };
    for (const { key, arch, locked } of entries) all[key] = { ...all[key], [arch]: locked };
    await writeLockFile(this.path, { lockVersion: 1, images: all });
  }

  async #read(): Promise<LockFile> {
    return (await readLockFile(this.path)) ?? { lockVersion: 1, images: {} };
  }
}
