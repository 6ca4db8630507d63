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

/** Names a transfer among those of one command. */
export function keyOf({ role, fileName }: Pick<TransferNews, 'role' | 'fileName'>): string {
  return `${role} ${fileName}`;
}
