import { inTurn } from './shell.ts';
import type { Way } from './lab.ts';
import type { Images } from '../servers/images.ts';

/** How other programs fetch two files from `origin`. `certPath` is trusted where it is given. */
export class Peers {
  readonly #files: Images;
  readonly #origin: string;
  readonly #curl: readonly string[];

  constructor(files: Images, origin: string, certPath?: string) {
    this.#files = files;
    this.#origin = origin;
    this.#curl = ['curl', '-fsS', ...(certPath === undefined ? [] : ['--cacert', certPath]), ...this.#outputs()];
  }

  get urls(): readonly string[] {
    return this.#names().map((name) => `${this.#origin}/${name}`);
  }

  /** One process for both files, on one connection. */
  curl(name: string): Way {
    return { name, command: inTurn(this.#curl) };
  }

  /** The same, and then a program that prints the digests of both. */
  curlThen(name: string, hasher: readonly string[]): Way {
    return { name, command: inTurn(this.#curl, [...hasher, ...this.#names()]) };
  }

  /** Up to 8 connections a file, both files at once. */
  aria2(name: string, isChecked: boolean): Way {
    const { kernel, rootfs } = this.#files;
    const lines = [kernel, rootfs].flatMap(({ fileName, sha256 }) => [
      `${this.#origin}/${fileName}`,
      ...(isChecked ? [` checksum=sha-256=${sha256}`] : []),
    ]);
    const options = ['-x8', '-s8', '-j2', '--min-split-size=1M', '--file-allocation=none', '--no-conf', '--quiet'];
    const aria2 = inTurn(['aria2c', ...options, '--input-file=-']);
    return { name, command: `${inTurn(['printf', '%s\\n', ...lines])} | ${aria2}` };
  }

  #names(): readonly string[] {
    return [this.#files.kernel.fileName, this.#files.rootfs.fileName];
  }

  #outputs(): readonly string[] {
    return this.#names().flatMap((name) => ['-o', name, `${this.#origin}/${name}`]);
  }
}
