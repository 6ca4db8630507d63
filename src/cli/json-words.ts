import type { ProgressEvent } from '../index.ts';
import { toJsonLine } from './json.ts';
import { keyOf, type ProgressStream } from './progress.ts';
import type { Words } from './words.ts';

const EVENT_EVERY_MS = 250;

/**
 * For programs: each event of the library as one line of JSON, and warnings as `{"phase":"warning","message":…}`. Of one artifact there are
 * at most four `fetch` events a second; the first, the last and each step back are always there.
 */
export function jsonWords(stream: ProgressStream, nowMs: () => number = () => performance.now()): Words {
  const last = new Map<string, { readonly atMs: number; readonly bytes: number }>();
  const write = (event: object): void => {
    stream.write(toJsonLine(event));
  };
  const isDue = (event: ProgressEvent): boolean => {
    if (event.phase !== 'fetch') return true;
    const { bytes, totalBytes } = event;
    const before = last.get(keyOf(event));
    const atMs = nowMs();
    if (before !== undefined && bytes >= before.bytes && bytes !== totalBytes && atMs - before.atMs < EVENT_EVERY_MS)
      return false;
    last.set(keyOf(event), { atMs, bytes });
    return true;
  };
  const nothing = (): void => undefined;
  return {
    logger: { warn: (message) => write({ phase: 'warning', message }), info: nothing },
    onProgress: (event) => {
      if (isDue(event)) write(event);
    },
    say: nothing,
    end: nothing,
  };
}
