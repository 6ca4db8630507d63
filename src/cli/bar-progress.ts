import { barLine } from './bar-line.ts';
import { columnsOf } from './columns.ts';
import { LiveLines } from './live-lines.ts';
import { keyOf, type Progress, type ProgressStream, type TransferNews } from './progress.ts';
import { retryText } from './retry-text.ts';
import { TransferMeter } from './transfer-meter.ts';
import { wrap } from './wrap.ts';

/** One bar for each artifact, redrawn in place. */
export function barProgress(stream: ProgressStream, nowMs: () => number = () => performance.now()): Progress {
  const columns = (): number => columnsOf(stream);
  const meters = new Map<string, TransferMeter>();
  const bars = new LiveLines(stream, () =>
    [...meters.values()].map((meter) => barLine(meter.view(nowMs()), columns())),
  );
  const line = (text: string): void => bars.writeAbove(wrap(text, columns() - 1));
  const meterOf = (news: Pick<TransferNews, 'role' | 'fileName'>): TransferMeter => {
    const meter = meters.get(keyOf(news)) ?? new TransferMeter(news.role, nowMs());
    meters.set(keyOf(news), meter);
    return meter;
  };
  let ended = false;
  return {
    transfer(news) {
      if (ended) return;
      meterOf(news).note(news, nowMs());
      bars.start();
    },
    retry(news) {
      if (ended) return;
      const { role, fileName } = news;
      if (role === undefined || fileName === undefined) {
        line(retryText(news, news.pauseMs, Infinity));
        return;
      }
      meterOf({ role, fileName }).retry(news, nowMs());
      bars.start();
    },
    line,
    end() {
      ended = true;
      bars.end();
    },
  };
}
