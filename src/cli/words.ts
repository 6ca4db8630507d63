import type { Logger, OnProgress, ProgressEvent } from '../index.ts';
import { plainLine, plainLines } from './plain-text.ts';
import type { Progress, ProgressStream } from './progress.ts';

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
  /** How transfers are shown. Default: not at all when silent, else bars on a terminal, and lines elsewhere and in CI. */
  readonly progress?: 'bars' | 'lines' | 'none' | undefined;
  /** No word but the error. */
  readonly silent: boolean;
  /** Also what the library calls information. */
  readonly verbose: boolean;
}

type TransferEvent = Extract<ProgressEvent, { phase: 'fetch' | 'retry' }>;

/** Words for people, and what shows transfers. */
export function createWords(options: WordsOptions): Words {
  const { env, silent, verbose } = options;
  const mode = options.progress ?? (silent ? 'none' : undefined);
  let progress: Progress | undefined;
  let ended = false;
  let waiting: TransferEvent[] | undefined;
  const show = (place: Progress, event: TransferEvent): void => {
    if (event.phase === 'fetch') place.transfer(event);
    else place.retry(event);
  };
  /** What shows transfers is loaded with the first of them: a hit has none. */
  async function load(): Promise<void> {
    const { loadProgress } = await import('./load-progress.ts');
    const loaded = await loadProgress(options.stderr, mode ?? (env['CI'] ? 'lines' : 'bars'));
    if (ended) return;
    progress = loaded;
    for (const event of waiting ?? []) show(progress, event);
  }
  const transfer = (event: TransferEvent): void => {
    if (mode === 'none') return;
    if (progress !== undefined) {
      show(progress, event);
    } else if (waiting !== undefined) {
      waiting.push(event);
    } else {
      waiting = [event];
      void load();
    }
  };
  const say = (text: string): void => {
    if (silent) return;
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
      if (event.phase === 'fetch' || event.phase === 'retry') transfer(event);
      else if (event.phase === 'step') say(plainLine(event.message));
      else if (verbose) say(`resolving ${plainLine(event.reference)}`);
    },
    say,
    end: () => {
      ended = true;
      progress?.end();
    },
  };
}
