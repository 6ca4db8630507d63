import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { columnsOf } from './columns.ts';
import { readArguments } from './command-arguments.ts';
import { ensure } from './commands/ensure.ts';
import { list } from './commands/list.ts';
import type { FailureStyle } from './failure.ts';
import { Interruption, type Shell } from './shell.ts';
import { PROGRESS_MODES } from './progress.ts';
import { parseChoice } from './units.ts';
import { UsageError } from './usage-error.ts';
import type { Verb } from './verb.ts';
import { createWords } from './words.ts';

/** Every verb; all but those whose speed is felt are loaded when they are called. */
const VERBS: Readonly<Record<string, () => Promise<Verb>>> = {
  ensure: () => Promise.resolve(ensure),
  resolve: async () => (await import('./commands/resolve.ts')).resolve,
  lock: async () => (await import('./commands/lock.ts')).lock,
  diff: async () => (await import('./commands/diff.ts')).diff,
  doctor: async () => (await import('./commands/doctor.ts')).doctor,
  boot: async () => (await import('./commands/boot.ts')).boot,
  list: () => Promise.resolve(list),
  inspect: async () => (await import('./commands/inspect.ts')).inspect,
  verify: async () => (await import('./commands/verify.ts')).verify,
  remove: async () => (await import('./commands/remove.ts')).remove,
  prune: async () => (await import('./commands/prune.ts')).prune,
};

/** Runs one command line (without the program's name) and resolves with the exit status. Never rejects. */
export async function runProgram(argv: readonly string[], shell: Shell): Promise<number> {
  try {
    return await dispatch(argv, shell);
  } catch (error) {
    const flags = argv.includes('--') ? argv.slice(0, argv.indexOf('--')) : argv;
    const isLined = flags.some(
      (flag, index) => flag === '--progress=json' || (flag === 'json' && flags[index - 1] === '--progress'),
    );
    const style = { json: flags.includes('--json') || isLined, verbose: flags.includes('--verbose'), isLined };
    return await report(error, style, shell);
  }
}

/** Says what went wrong, unless the user was the one who ended it. */
async function report(error: unknown, style: FailureStyle, shell: Shell): Promise<number> {
  const reason: unknown = shell.signal.reason;
  if (reason instanceof Interruption) return reason.exitCode;
  const { describeFailure } = await import('./failure.ts');
  const { exitCode, text } = describeFailure(error, style);
  shell.stderr.write(text);
  return exitCode;
}

async function dispatch([word, ...rest]: readonly string[], shell: Shell): Promise<number> {
  switch (word) {
    case '--version':
    case '-V':
      shell.stdout.write(`${await ownVersion()}\n`);
      return 0;
    case '--help':
    case '-h':
      return await printHelp(shell);
    case 'help':
      return rest[0] === undefined ? await printHelp(shell) : await printVerbHelp(await loadVerb(rest[0]), shell);
    case undefined:
      throw new UsageError('no command was given', SEE_HELP);
    default:
      return await runVerb(await loadVerb(word), rest, shell);
  }
}

async function runVerb(verb: Verb, argv: readonly string[], shell: Shell): Promise<number> {
  const args = await readArguments(verb, argv);
  if (args.has('help')) return await printVerbHelp(verb, shell);
  const progress = args.read('progress', (text) => parseChoice(text, PROGRESS_MODES));
  const isLined = progress === 'json';
  const style = { json: args.has('json') || isLined, verbose: args.has('verbose'), isLined };
  const words = isLined
    ? (await import('./json-words.ts')).jsonWords(shell.stderr)
    : createWords({
        get stderr() {
          return shell.stderr;
        },
        env: shell.env,
        progress,
        silent: style.json || args.has('quiet'),
        verbose: style.verbose,
      });
  const onAbort = (): void => words.say('Interrupted: cleaning up. Once more leaves at once.');
  shell.signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await verb.run({ shell, args, words });
  } catch (error) {
    words.end();
    return await report(error, style, shell);
  } finally {
    shell.signal.removeEventListener('abort', onAbort);
    words.end();
  }
}

async function loadVerb(word: string): Promise<Verb> {
  const load = Object.hasOwn(VERBS, word) ? VERBS[word] : undefined;
  if (load !== undefined) return await load();
  if (word.startsWith('-')) {
    throw new UsageError(`${word} is not a flag of smartvm itself: flags come behind the command`, SEE_HELP);
  }
  const { nearest } = await import('./nearest.ts');
  const near = nearest(word, Object.keys(VERBS));
  throw new UsageError(
    `unknown command ${JSON.stringify(word)}${near === undefined ? '' : `, did you mean ${near}?`}`,
    SEE_HELP,
  );
}

const SEE_HELP = 'See "smartvm --help".';

async function printHelp(shell: Shell): Promise<number> {
  const { formatHelp } = await import('./help.ts');
  shell.stdout.write(formatHelp(await Promise.all(Object.values(VERBS).map((load) => load())), helpColumns(shell)));
  return 0;
}

async function printVerbHelp(verb: Verb, shell: Shell): Promise<number> {
  const { formatVerbHelp } = await import('./help.ts');
  shell.stdout.write(formatVerbHelp(verb, helpColumns(shell)));
  return 0;
}

/** Never so wide that a paragraph is hard to read. */
function helpColumns({ stdout }: Shell): number {
  return Math.min(columnsOf(stdout), 110);
}

async function ownVersion(): Promise<string> {
  const about: unknown = JSON.parse(await readFile(join(import.meta.dirname, '../../package.json'), 'utf8'));
  return typeof about === 'object' && about !== null && 'version' in about ? String(about.version) : 'unknown';
}
