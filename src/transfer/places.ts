import { placesFor } from './mirrors.ts';

/** Where an object may be had, the best place first. What is learned of a place in one transfer counts in the next. */
export class Places {
  readonly #liars = new Set<string>();
  #inOrder: readonly string[];
  #wasReordered = false;

  /** Bytes without a digest are taken from their own address alone: nothing would tell that a mirror has others. */
  constructor(address: string, sha256: string | undefined, mirrors: readonly string[]) {
    this.#inOrder = sha256 === undefined ? [address] : placesFor(address, mirrors);
  }

  /** Those that have not lied. */
  get left(): readonly string[] {
    return this.#inOrder.filter((place) => !this.#liars.has(place));
  }

  /**
   * The bytes that came from these places together were wrong. Which one of several lied is not known: the last one is asked for
   * all of them first, once. True when there is a place left to ask; when there is none, a later transfer asks all of them again.
   */
  disown(used: readonly string[]): boolean {
    const last = used.at(-1);
    if (used.length > 1 && last !== undefined && !this.#wasReordered) {
      this.#wasReordered = true;
      this.#inOrder = [last, ...this.#inOrder.filter((place) => place !== last)];
    } else {
      for (const place of used) this.#liars.add(place);
    }
    if (this.left.length > 0) return true;
    this.#liars.clear();
    this.#wasReordered = false;
    return false;
  }
}
