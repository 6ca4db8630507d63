import type { Progress, ProgressMode, ProgressStream } from './progress.ts';

/** What shows transfers, loaded when there is one. Bars need a terminal: elsewhere they are lines. */
export async function loadProgress(stream: ProgressStream, mode: ProgressMode): Promise<Progress> {
  if (mode === 'bars' && stream.isTTY === true) return (await import('./bar-progress.ts')).barProgress(stream);
  return (await import('./line-progress.ts')).lineProgress(stream);
}
