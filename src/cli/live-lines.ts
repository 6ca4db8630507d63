import type { ProgressStream } from './progress.ts';

const REDRAW_EVERY_MS = 100;

/**
 * Lines below all others that are redrawn in place, ten times a second while they change; other lines are written above them. None
 * may reach the last column. Nothing of the terminal is switched, so nothing has to be switched back.
 */
export class LiveLines {
  readonly #stream: ProgressStream;
  readonly #lines: () => readonly string[];
  #drawn: readonly string[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(stream: ProgressStream, lines: () => readonly string[]) {
    this.#stream = stream;
    this.#lines = lines;
  }

  /** Draws them now, and again from time to time. May be called twice. */
  start(): void {
    if (this.#timer !== undefined) return;
    this.#draw([]);
    this.#timer = setInterval(() => this.#draw([]), REDRAW_EVERY_MS);
    this.#timer.unref();
  }

  /** Writes lines above. */
  writeAbove(lines: readonly string[]): void {
    if (this.#timer === undefined) this.#stream.write(lines.map((line) => `${line}\n`).join(''));
    else this.#draw(lines);
  }

  /** Draws them for the last time, and leaves the line below them. */
  end(): void {
    if (this.#timer === undefined) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#draw([]);
    this.#stream.write('\n');
    this.#drawn = [];
  }

  #draw(above: readonly string[]): void {
    const lines = this.#lines();
    const isSame = lines.length === this.#drawn.length && lines.every((line, index) => line === this.#drawn[index]);
    if (isSame && above.length === 0) return;
    const up = this.#drawn.length > 1 ? `\x1b[${this.#drawn.length - 1}A` : '';
    // Each erases what is left of what it is written over.
    this.#stream.write(`\r${up}${[...above, ...lines].map((line) => `${line}\x1b[K`).join('\n')}`);
    this.#drawn = lines;
  }
}
