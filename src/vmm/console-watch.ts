/** What a console showed so far that matters to somebody who waits for userland. */
export type Sight =
  | { readonly kind: 'up'; readonly marker: string }
  /** `sure` is false for a line that is fatal only when nothing follows it. */
  | { readonly kind: 'dying'; readonly line: string; readonly sure: boolean; readonly hint: string };

interface Sign {
  readonly pattern: RegExp;
  readonly hint: string;
  readonly sure?: false;
}

/** In the order in which they explain best: the first cause before the panic that follows from it. */
const SIGNS: readonly Sign[] = [
  {
    pattern: /VFS: Unable to mount root fs[^\r\n]*/,
    hint: 'The kernel found no root file system: it may lack drivers for the disk or the file system, or need an initrd.',
  },
  {
    pattern: /No filesystem could mount root[^\r\n]*/,
    hint: 'The root file system is damaged, or of a kind the kernel does not know.',
  },
  {
    pattern: /(?:No working init found|Requested init \S+ failed)[^\r\n]*/,
    hint: 'The root file system has no init that runs: look for /sbin/init in it.',
  },
  { pattern: /smartvm-initrd: cannot [^\r\n]*/, hint: 'The initrd could not hand over to the root file system.' },
  { pattern: /Kernel panic - not syncing[^\r\n]*/, hint: 'The guest’s kernel gave up; its last lines say why.' },
  {
    pattern: /could not calculate TSC khz/,
    hint: 'The kernel could not measure its clock; give tsc_early_khz=<kHz>, or take the machine q35.',
    sure: false,
  },
];

/** A login prompt, or the prompt of a shell at the end of what was shown. */
const USERLAND = /[^\r\n]{0,80}\blogin:|(?:^|\n)[^\r\n]{0,80}[#$] (?:\u001b\[[0-9;?]*[a-zA-Z])*$/;
const KEPT_CHARACTERS = 64 * 1024;

/** Reads a console as it comes and says when the guest is up, or is past hope. */
export class ConsoleWatch {
  readonly #expect: string | undefined;
  #text = '';

  /** `expect`: the text to wait for, anywhere; without it a login prompt or a shell's prompt will do. */
  constructor(expect?: string) {
    this.#expect = expect;
  }

  /** Takes the next piece of the console and says what it means, if anything. */
  see(piece: string): Sight | undefined {
    this.#text = (this.#text + piece).slice(-KEPT_CHARACTERS);
    const marker = this.#marker();
    if (marker !== undefined) return { kind: 'up', marker };
    for (const { pattern, hint, sure = true } of SIGNS) {
      const line = pattern.exec(this.#text)?.[0];
      if (line !== undefined) return { kind: 'dying', line, sure, hint };
    }
    return undefined;
  }

  /** The kernel's own first line, when it was shown. */
  get kernelLine(): string | undefined {
    return /Linux version [^\r\n]*/.exec(this.#text)?.[0];
  }

  #marker(): string | undefined {
    if (this.#expect !== undefined) return this.#text.includes(this.#expect) ? this.#expect : undefined;
    return USERLAND.exec(this.#text)?.[0].trim();
  }
}
