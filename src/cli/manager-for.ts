import { BaseImageManager, findLockFile, hostArch, type Arch } from '../index.ts';
import type { CommandArguments } from './command-arguments.ts';
import { parseChoice } from './units.ts';
import type { Call } from './verb.ts';

interface ManagerOptions {
  /** Where there is no lock file yet. */
  readonly defaultLockFile?: string;
  /** False for verbs that look at the world and not at what was pinned. */
  readonly heedsLock?: boolean;
}

/** A manager as the flags of this call want it. What no flag says is left to the library: environment, then defaults. */
export async function managerFor(
  { args, shell, words }: Call,
  { defaultLockFile, heedsLock = true }: ManagerOptions = {},
): Promise<BaseImageManager> {
  const named = args.text('lock-file') ?? (await findLockFile('.')) ?? defaultLockFile;
  const lockFile = heedsLock ? named : undefined;
  return new BaseImageManager({
    lockFile,
    arch: archOf(args) ?? hostArch(),
    cacheDir: args.text('cache-dir'),
    bucketUrl: args.text('bucket-url'),
    releasesUrl: args.text('releases-url'),
    allowHttp: args.texts('allow-http').map((origin) => args.reading('--allow-http', origin, parseOrigin)),
    offline: args.has('offline'),
    signal: shell.signal,
    logger: words.logger,
    onProgress: words.onProgress,
  });
}

/** The architecture that was asked for, also by the names that packages give it. */
function archOf(args: CommandArguments): Arch | undefined {
  return args.read('arch', (text) => {
    if (text === 'amd64' || text === 'x64') return 'x86_64';
    return text === 'arm64' ? 'aarch64' : parseChoice(text, ['x86_64', 'aarch64']);
  });
}

function parseOrigin(text: string): string {
  if (URL.canParse(text) && /^https?:\/\//i.test(text)) return new URL(text).origin;
  throw new Error('must be an origin, like http://mirror.lan:8080');
}
