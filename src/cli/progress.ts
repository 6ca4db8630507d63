import type { ArtifactRole } from '../index.ts';
import { barLine } from './bar-line.ts';
import { TransferMeter } from './transfer-meter.ts';
import { formatBytes, formatSeconds } from './units.ts';

/** The part of a `fetch` event that a transfer is shown by. */
export interface TransferNews {
  readonly role: ArtifactRole;
  readonly fileName: string;
  readonly bytes: number;
  readonly totalBytes?: number;
}

/** A place that shows transfers and takes lines of words between them. */
export interface Progress {
  transfer(news: TransferNews): void;
  line(text: string): void;
  /** Leaves the place so that others can write to it. */
  end(): void;
}

/** What is written to; `isTTY` and `columns` as Node's terminal streams have them. */
export type ProgressStream = NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number };

/** Bars on a terminal, lines elsewhere and in CI. */
export async function loadProgress(stream: ProgressStream, env: NodeJS.ProcessEnv): Promise<Progress> {
  return stream.isTTY === true && !env['CI'] ? await barProgress(stream) : lineProgress(stream);
}

/** One bar for each artifact, redrawn in place. Nothing of the terminal is switched, so nothing has to be switched back. */
export async function barProgress(stream: ProgressStream, nowMs: () => number = now): Promise<Progress> {
  const { default: progress } = await import('cli-progress');
  const bars = new progress.MultiBar({ stream, gracefulExit: false, hideCursor: false, linewrap: true, fps: 10 });
  const meters = new Map<string, TransferMeter>();
  let ended = false;
  return {
    transfer({ role, fileName, bytes, totalBytes }) {
      const key = `${role} ${fileName}`;
      const meter = meters.get(key) ?? new TransferMeter(role, nowMs());
      meter.note(bytes, totalBytes, nowMs());
      if (ended || meters.has(key)) return;
      meters.set(key, meter);
      bars.create(1, 0, {}, { format: () => barLine(meter.view(nowMs()), stream.columns ?? 80) });
    },
    line(text) {
      // Erases what is left of the bar that the line is written over.
      if (ended || meters.size === 0) stream.write(`${text}\n`);
      else bars.log(`${text.replaceAll('\n', '\x1b[K\n')}\x1b[K\n`);
    },
    end() {
      if (ended) return;
      ended = true;
      if (meters.size === 0) return;
      bars.update();
      bars.stop();
    },
  };
}

const LINE_EVERY_MS = 1_000;
const UNSIZED_LINE_EVERY_MS = 10_000;

/** For logs: a line when a transfer has passed a tenth, at most one a second and transfer, and one when it is done. */
export function lineProgress(stream: ProgressStream, nowMs: () => number = now): Progress {
  const shown = new Map<string, { meter: TransferMeter; atMs: number; tenths: number; done: boolean }>();
  const line = (text: string): void => {
    stream.write(`${text}\n`);
  };
  return {
    transfer({ role, fileName, bytes, totalBytes }) {
      const atMs = nowMs();
      const key = `${role} ${fileName}`;
      const state = shown.get(key) ?? { meter: new TransferMeter(role, atMs), atMs, tenths: 0, done: false };
      shown.set(key, state);
      state.meter.note(bytes, totalBytes, atMs);
      const { done, elapsedMs } = state.meter.view(atMs);
      const waitedMs = atMs - state.atMs;
      const tenths = totalBytes === undefined ? 0 : Math.floor((bytes * 10) / Math.max(totalBytes, 1));
      if (done) {
        if (!state.done) line(`${role}: ${formatBytes(bytes)} in ${formatSeconds(elapsedMs)}`);
      } else if (totalBytes !== undefined && tenths > state.tenths && waitedMs >= LINE_EVERY_MS) {
        line(`${role}: ${tenths * 10} % of ${formatBytes(totalBytes)}`);
      } else if (totalBytes === undefined && waitedMs >= UNSIZED_LINE_EVERY_MS) {
        line(`${role}: ${formatBytes(bytes)} so far`);
      } else {
        return;
      }
      Object.assign(state, { atMs, tenths, done });
    },
    line,
    end: () => undefined,
  };
}

function now(): number {
  return performance.now();
}
