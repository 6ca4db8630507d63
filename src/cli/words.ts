import type { Logger, OnProgress } from '../index.ts';
import { plainLine, plainLines } from './plain-text.ts';
import { barProgress, lineProgress, type Progress, type ProgressStream } from './progress.ts';

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
export function createWords({ stderr, env, silent, verbose }: WordsOptions): Words {
  if (silent) {
    const nothing = (): void => undefined;
    return { logger: { warn: nothing, info: nothing }, onProgress: nothing, say: nothing, end: nothing };
  }
  const progress: Progress = stderr.isTTY === true && !env['CI'] ? barProgress(stderr) : lineProgress(stderr);
  const say = (text: string): void => progress.line(plainLines(text));
  return {
    logger: {
      warn: (message) => say(`warning: ${message}`),
      info: (message) => {
        if (verbose) say(message);
      },
    },
    onProgress: (event) => {
      if (event.phase === 'fetch') progress.transfer(event);
      else if (event.phase === 'step') say(plainLine(event.message));
      else if (verbose) say(`resolving ${plainLine(event.reference)}`);
    },
    say,
    end: () => progress.end(),
  };
}
