import type { Logger, OnProgress } from '../index.ts';
import { plainLine, plainLines } from './plain-text.ts';
import type { Progress, ProgressStream, TransferNews } from './progress.ts';

/** Everything that is said on stderr while a command works. Text from anywhere may be handed in. */
export interface Words {
  readonly logger: Logger;
  readonly onProgress: OnProgress;
  /** A note to a human. */
  say(text: string): void;
  /** Ends the bars, so that others may write. May be called twice. */
  end(): void;
}

export interface WordsOptions {
  readonly stderr: ProgressStream;
  readonly env: NodeJS.ProcessEnv;
  /** No word but the error. */
  readonly silent: boolean;
  /** Also what the library calls information. */
  readonly verbose: boolean;
}

/** Bars on a terminal, sparse lines elsewhere and in CI, nothing when silent. */
export function createWords(options: WordsOptions): Words {
  const { env, silent, verbose } = options;
  if (silent) {
    const nothing = (): void => undefined;
    return { logger: { warn: nothing, info: nothing }, onProgress: nothing, say: nothing, end: nothing };
  }
  let progress: Progress | undefined;
  let ended = false;
  let waiting: TransferNews[] | undefined;
  /** What shows transfers is loaded with the first of them: a hit has none. */
  async function load(): Promise<void> {
    const { loadProgress } = await import('./progress.ts');
    const loaded = await loadProgress(options.stderr, env);
    if (ended) return;
    progress = loaded;
    for (const news of waiting ?? []) progress.transfer(news);
  }
  const transfer = (news: TransferNews): void => {
    if (progress !== undefined) {
      progress.transfer(news);
    } else if (waiting !== undefined) {
      waiting.push(news);
    } else {
      waiting = [news];
      void load();
    }
  };
  const say = (text: string): void => {
    if (progress === undefined) options.stderr.write(`${plainLines(text)}\n`);
    else progress.line(plainLines(text));
  };
  return {
    logger: {
      warn: (message) => say(`warning: ${message}`),
      info: (message) => {
        if (verbose) say(message);
      },
    },
    onProgress: (event) => {
      if (event.phase === 'fetch') transfer(event);
      else if (event.phase === 'step') say(plainLine(event.message));
      else if (event.phase === 'resolve' && verbose) say(`resolving ${plainLine(event.reference)}`);
    },
    say,
    end: () => {
      ended = true;
      progress?.end();
    },
  };
}
