import { Writable } from 'node:stream';

/** A terminal of a few columns: it wraps, and obeys the sequences that progress bars use. Any other is an error. */
export class Screen extends Writable {
  readonly isTTY = true;
  readonly columns: number;
  /** Everything that was written, as it was. */
  written = '';
  readonly #lines: string[] = [''];
  #row = 0;
  #column = 0;

  constructor(columns: number) {
    super({ decodeStrings: false });
    this.columns = columns;
  }

  /** What a user sees, without trailing spaces and empty lines at the end. */
  get lines(): readonly string[] {
    const seen = this.#lines.map((line) => line.trimEnd());
    while (seen.at(-1) === '') seen.pop();
    return seen;
  }

  override _write(chunk: string | Buffer, _encoding: BufferEncoding, callback: () => void): void {
    const text = String(chunk);
    this.written += text;
    for (const part of text.match(/\x1b\[[\d;?]*[A-Za-z]|[^]/g) ?? []) {
      if (part.startsWith('\x1b[')) this.#obey(part);
      else this.#put(part);
    }
    callback();
  }

  #put(character: string): void {
    if (character === '\n') {
      this.#move(this.#row + 1, 0);
      return;
    }
    if (character === '\r') {
      this.#column = 0;
      return;
    }
    if (/[\x00-\x1f]/.test(character)) throw new Error(`unexpected ${JSON.stringify(character)}`);
    if (this.#column === this.columns) this.#move(this.#row + 1, 0);
    const line = (this.#lines[this.#row] ?? '').padEnd(this.#column);
    this.#lines[this.#row] = line.slice(0, this.#column) + character + line.slice(this.#column + 1);
    this.#column++;
  }

  #obey(sequence: string): void {
    const count = Number(/\d+/.exec(sequence)?.[0] ?? '');
    const line = this.#lines[this.#row] ?? '';
    if (sequence.endsWith('A')) this.#move(this.#row - (count || 1), this.#column);
    else if (sequence.endsWith('G')) this.#move(this.#row, (count || 1) - 1);
    else if (/^\x1b\[0?K$/.test(sequence)) this.#lines[this.#row] = line.slice(0, this.#column);
    else if (sequence === '\x1b[2K') this.#lines[this.#row] = '';
    else throw new Error(`unexpected ${JSON.stringify(sequence)}`);
  }

  #move(row: number, column: number): void {
    if (row < 0) throw new Error('moved above the first line');
    this.#row = row;
    this.#column = column;
    while (this.#lines.length <= row) this.#lines.push('');
  }
}
