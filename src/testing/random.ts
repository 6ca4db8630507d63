/** A number from 0 up to 1 that depends on these alone: the same in every run, on every machine. */
export function drawFrom(...seed: readonly (number | string)[]): number {
  return next(hashOf(seed.join('\n')));
}

/** Bytes that no compression gets smaller: for files of tests. The same seed gives the same bytes. */
export function noise(bytes: number, seed = 1): Uint8Array {
  const found = new Uint8Array(bytes);
  for (let index = 0, state = hashOf(String(seed)); index < bytes; index += 1) {
    state = (state + STEP) >>> 0;
    found[index] = next(state) * 256;
  }
  return found;
}

const STEP = 0x6d2b79f5;

/** FNV-1a. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

/** Mulberry32. */
function next(state: number): number {
  let mixed = Math.imul(state ^ (state >>> 15), state | 1);
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
}
