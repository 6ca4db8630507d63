import { keyOf, type Progress, type ProgressStream, type TransferNews } from './progress.ts';
import { retryText } from './retry-text.ts';
import { TransferMeter } from './transfer-meter.ts';
import { formatBytes, formatSeconds } from './units.ts';

const LINE_EVERY_MS = 1_000;
const UNSIZED_LINE_EVERY_MS = 10_000;

interface Shown {
  readonly meter: TransferMeter;
  /** When its last line was written, and what it had then. */
  atMs: number;
  tenths: number;
  done: boolean;
  bytes: number;
}

/**
 * For logs: a line when a transfer has passed a tenth, at most one a second and transfer, one for each step back and each new try, and
 * one when it is done.
 */
export function lineProgress(stream: ProgressStream, nowMs: () => number = () => performance.now()): Progress {
  const transfers = new Map<string, Shown>();
  const line = (text: string): void => {
    stream.write(`${text}\n`);
  };
  const begin = ({ role, resumedBytes = 0, totalBytes }: TransferNews, atMs: number): Shown => {
    if (resumedBytes > 0) line(`${role}: goes on at ${formatBytes(resumedBytes)}${ofTotal(totalBytes)}`);
    return { meter: new TransferMeter(role, atMs), atMs, tenths: 0, done: false, bytes: 0 };
  };
  return {
    transfer(news) {
      const { role, bytes, totalBytes } = news;
      const atMs = nowMs();
      const shown = transfers.get(keyOf(news)) ?? begin(news, atMs);
      transfers.set(keyOf(news), shown);
      shown.meter.note(news, atMs);
      const { done, elapsedMs } = shown.meter.view(atMs);
      const waitedMs = atMs - shown.atMs;
      const tenths = totalBytes === undefined ? 0 : Math.floor((bytes * 10) / Math.max(totalBytes, 1));
      const isBack = bytes < shown.bytes;
      shown.bytes = bytes;
      if (done) {
        if (!shown.done) line(`${role}: ${formatBytes(bytes)} in ${formatSeconds(elapsedMs)}`);
      } else if (isBack) {
        line(`${role}: back at ${formatBytes(bytes)}${ofTotal(totalBytes)}`);
      } else if (totalBytes !== undefined && tenths > shown.tenths && waitedMs >= LINE_EVERY_MS) {
        line(`${role}: ${tenths * 10} %${ofTotal(totalBytes)}`);
      } else if (totalBytes === undefined && waitedMs >= UNSIZED_LINE_EVERY_MS) {
        line(`${role}: ${formatBytes(bytes)} so far`);
      } else {
        return;
      }
      Object.assign(shown, { atMs, tenths, done });
    },
    retry(news) {
      const text = retryText(news, news.pauseMs, Infinity);
      line(news.role === undefined ? text : `${news.role}: ${text}`);
    },
    line,
    end: () => undefined,
  };
}

function ofTotal(totalBytes: number | undefined): string {
  return totalBytes === undefined ? '' : ` of ${formatBytes(totalBytes)}`;
}
