import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { measure, type Measured } from './measure.ts';
import type { Sample, Section, Series } from './result.ts';

/** One way of doing a job. `command` is a line of shell that is run in an empty folder. */
export interface Way {
  readonly name: string;
  readonly command: string;
  readonly env?: Readonly<Record<string, string>>;
}

export interface LabOptions {
  readonly rounds: number;
  readonly scale: number;
  /** Folder of the compiled programs. */
  readonly programs: string;
}

/** Where one bench works: a folder of its own, things that have to be ended, and rounds. Nothing of it is left after `close`. */
export class Lab {
  readonly dir: string;
  readonly rounds: number;
  /** Of the sizes that are meant. */
  readonly scale: number;
  readonly #programs: string;
  readonly #endings: (() => Promise<unknown>)[] = [];
  #group: number | undefined;
  #isInterrupted = false;

  private constructor(dir: string, { rounds, scale, programs }: LabOptions) {
    this.dir = dir;
    this.rounds = rounds;
    this.scale = scale;
    this.#programs = programs;
  }

  /** Opens a lab below `$SMARTVM_BENCH_DIR`, else below the folder for temporary files. */
  static async open(options: LabOptions): Promise<Lab> {
    const lab = new Lab(await mkdtemp(join(process.env['SMARTVM_BENCH_DIR'] || tmpdir(), 'smartvm-bench-')), options);
    await Promise.all([lab.folder('home'), lab.folder('scratch'), lab.folder('out')]);
    return lab;
  }

  /** A folder of this lab, made when it is not there. */
  async folder(name: string): Promise<string> {
    const path = join(this.dir, name);
    await mkdir(path, { recursive: true, mode: 0o700 });
    return path;
  }

  /** A size in MiB at the scale of this run, in whole bytes. */
  bytes(mebibytes: number): number {
    return Math.max(1, Math.round(mebibytes * this.scale)) * 1024 ** 2;
  }

  /** The command that runs one of the programs by Node. */
  program(name: string, ...args: readonly unknown[]): readonly string[] {
    const words = args.map((arg) => (typeof arg === 'string' ? arg : JSON.stringify(arg)));
    return [process.execPath, join(this.#programs, `${name}.js`), ...words];
  }

  /** Has something ended with the lab; the last one comes first. */
  atEnd(ending: () => Promise<unknown>): void {
    this.#endings.push(ending);
  }

  /** Runs one command. Rejects when it fails. */
  async run(way: Way): Promise<Measured> {
    const measured = await this.attempt(way);
    if (measured.status === 0) return measured;
    throw new Error(`${way.name} ended with ${measured.status}: ${measured.stderr}\n  ${way.command}`);
  }

  /** The same, whatever becomes of it. What it left in its folder is gone afterwards, and on no disk. */
  async attempt(
    way: Way,
    look: (cwd: string, measured: Measured) => Promise<void> = async () => undefined,
  ): Promise<Measured> {
    if (this.#isInterrupted) throw new Error('the bench was interrupted');
    const cwd = await this.folder('out');
    const measured = await measure(way.command, {
      cwd,
      scratch: join(this.dir, 'scratch'),
      env: this.#env(way),
      onGroup: (group) => (this.#group = group),
    });
    await look(cwd, measured);
    await this.#clear(cwd);
    return measured;
  }

  /** Every way once a round, each round beginning with another one, after one round that does not count. */
  async alternate(title: string, base: string, ways: readonly Way[], times = 1): Promise<Section> {
    const samples = new Map<string, Sample[]>(ways.map(({ name }) => [name, []]));
    const rounds = this.rounds * times;
    for (const way of ways) await this.run(way);
    for (let round = 0; round < rounds; round += 1) {
      this.say(`${title}: round ${round + 1} of ${rounds}`);
      const first = round % ways.length;
      for (const way of [...ways.slice(first), ...ways.slice(0, first)]) {
        samples.get(way.name)?.push((await this.run(way)).sample);
      }
    }
    const series = ways.map(({ name }): Series => ({ name, samples: samples.get(name) ?? [] }));
    return { title, base, series };
  }

  say(words: string): void {
    process.stderr.write(`${words}\n`);
  }

  /** Ends the command that runs now, and every one that would come. */
  interrupt(): void {
    this.#isInterrupted = true;
    try {
      if (this.#group !== undefined) process.kill(-this.#group, 'SIGTERM');
    } catch {
      // It has just ended by itself.
    }
  }

  get isInterrupted(): boolean {
    return this.#isInterrupted;
  }

  /** Ends what was begun and removes the folder. */
  async close(): Promise<void> {
    for (let ending = this.#endings.pop(); ending !== undefined; ending = this.#endings.pop()) await ending();
    await rm(this.dir, { recursive: true, force: true });
  }

  /** Proxies, authorities, configuration files and `NODE_…` of whoever runs the bench are not part of what is measured. */
  #env({ env = {} }: Way): Readonly<Record<string, string>> {
    return { PATH: process.env['PATH'] ?? '', HOME: join(this.dir, 'home'), TMPDIR: this.dir, LANG: 'C', ...env };
  }

  /** A way must not pay for bytes that the one before it left in memory for the disk. */
  async #clear(cwd: string): Promise<void> {
    for (const name of await readdir(cwd)) await rm(join(cwd, name), { recursive: true, force: true });
    await promisify(execFile)('sync', ['-f', cwd]);
  }
}
