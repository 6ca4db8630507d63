import { BaseImageManager, findLockFile, hostArch, readConfiguration, type Arch } from '../index.ts';
import type { CommandArguments } from './command-arguments.ts';
import { transferOptionsOf } from './transfer-flags.ts';
import { parseChoice } from './units.ts';
import type { Call } from './verb.ts';

interface ManagerOptions {
  /** Where there is no lock file yet. */
  readonly defaultLockFile?: string;
  /** False for verbs that look at the world and not at what was pinned. */
  readonly heedsLock?: boolean;
}

/** A manager as the flags of this call want it. What no flag says, the environment does, then the configuration file, then the library's defaults. */
export async function managerFor(
  { args, shell, words }: Call,
  { defaultLockFile, heedsLock = true }: ManagerOptions = {},
): Promise<BaseImageManager> {
  const configured = await readConfiguration();
  const named = args.text('lock-file') ?? (await findLockFile('.')) ?? defaultLockFile;
  const lockFile = heedsLock ? named : undefined;
  const allowHttp = args.texts('allow-http').map((origin) => args.reading('--allow-http', origin, parseOrigin));
  return new BaseImageManager({
    ...configured,
    ...transferOptionsOf(args, shell.env, configured),
    lockFile,
    arch: archOf(args) ?? hostArch(),
    cacheDir: args.text('cache-dir') ?? configured.cacheDir,
    bucketUrl: args.text('bucket-url') ?? configured.bucketUrl,
    releasesUrl: args.text('releases-url') ?? configured.releasesUrl,
    allowHttp: [...allowHttp, ...(configured.allowHttp ?? [])],
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
