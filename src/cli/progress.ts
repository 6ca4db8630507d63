import type { ProgressEvent } from '../index.ts';

/** What is told of a transfer. */
export type TransferNews = Omit<Extract<ProgressEvent, { phase: 'fetch' }>, 'phase'>;
/** What is told when a transfer is to be tried again. */
export type RetryNews = Omit<Extract<ProgressEvent, { phase: 'retry' }>, 'phase'>;

/** A place that shows transfers and takes lines of words between them. */
export interface Progress {
  transfer(news: TransferNews): void;
  retry(news: RetryNews): void;
  line(text: string): void;
  /** Leaves the place so that others can write to it. */
  end(): void;
}

/** What is written to; `isTTY` and `columns` as Node's terminal streams have them. */
export type ProgressStream = NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number };

export const PROGRESS_MODES = ['bars', 'lines', 'json', 'none'] as const;
export type ProgressMode = (typeof PROGRESS_MODES)[number];

/** What shows transfers, loaded when there is one. Bars need a terminal: elsewhere they are lines. */
export async function loadProgress(stream: ProgressStream, mode: ProgressMode): Promise<Progress> {
  if (mode === 'bars' && stream.isTTY === true) return (await import('./bar-progress.ts')).barProgress(stream);
  return (await import('./line-progress.ts')).lineProgress(stream);
}

/** Names a transfer among those of one command. */
export function keyOf({ role, fileName }: Pick<TransferNews, 'role' | 'fileName'>): string {
  return `${role} ${fileName}`;
}
