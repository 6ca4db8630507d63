import type { Behaviour } from './behaviour.ts';

const THROTTLE_BYTES = 64 * 1024;
const THROTTLE_MS = 20;

/** Waits before the first byte. */
export function latency(delayMs: number): Behaviour {
  return { answer: (answer) => ({ ...answer, delayMs }) };
}

/** So many bytes of the body at a time, and a pause after each. */
export function drip({
  bytes = 1,
  everyMs = 200,
}: { readonly bytes?: number; readonly everyMs?: number } = {}): Behaviour {
  return { answer: (answer) => ({ ...answer, pace: { bytes, everyMs } }) };
}

/** No connection is faster than this; several together are. */
export function throttle({ bytesPerSecond }: { readonly bytesPerSecond: number }): Behaviour {
  const bytes = Math.max(1, Math.min(THROTTLE_BYTES, Math.round((bytesPerSecond * THROTTLE_MS) / 1000)));
  return drip({ bytes, everyMs: (bytes / bytesPerSecond) * 1000 });
}

/** The body over and over, and no end of it. No length is told, unless `contentLength` tells one. */
export function endless(): Behaviour {
  return { answer: (answer) => ({ ...answer, isEndless: true }) };
}
