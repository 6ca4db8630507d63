import { setImmediate as letOthersRun } from 'node:timers/promises';

/** Nobody notices a pause of this length. */
const SLICE_MS = 10;

/**
 * Does short work for each of many items. It is done at once, because most of what the thread pool costs for a short call is the
 * way there and back; others run in between.
 */
export async function inSlices<Item, Result>(
  items: readonly Item[],
  work: (item: Item) => Result,
): Promise<readonly Result[]> {
  const results: Result[] = [];
  let sliceEndsAt = performance.now() + SLICE_MS;
  for (const item of items) {
    if (performance.now() > sliceEndsAt) {
      await letOthersRun();
      sliceEndsAt = performance.now() + SLICE_MS;
    }
    results.push(work(item));
  }
  return results;
}
