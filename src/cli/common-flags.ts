import type { CommandArguments } from './command-arguments.ts';
import type { Flags } from './grammar.ts';
import { TRANSFER_FLAGS } from './transfer-flags.ts';

/** Name of the lock file that is written where there is none yet. */
export const LOCK_FILE_NAME = 'smartvm.lock';

/** Flags of every verb. */
export const COMMON_FLAGS = {
  'cache-dir': { value: '<dir>', help: 'Where the images are. Default: $SMARTVM_CACHE_DIR, else ~/.cache/smartvm.' },
  json: { help: 'Print JSON, and say nothing else.' },
  quiet: { short: 'q', help: 'Say nothing but errors.' },
  verbose: { short: 'v', help: 'Say more: what is looked up, what lies beneath an error.' },
} satisfies Flags;

/** Flags of verbs that take references. */
export const ARCH_FLAG = {
  arch: { value: '<arch>', help: 'x86_64 or aarch64. Default: that of this machine.' },
} satisfies Flags;

/** Flags of verbs that look something up. */
export const ASKING_FLAGS = {
  ...ARCH_FLAG,
  'lock-file': { value: '<path>', help: 'Lock file. Default: the nearest smartvm.lock here or above.' },
  'bucket-url': {
    value: '<url>',
    help: "Bucket laid out like Firecracker's. Default: $SMARTVM_BUCKET_URL, else that one.",
  },
  'releases-url': {
    value: '<url>',
    help: 'Address that redirects to the newest release. Default: $SMARTVM_RELEASES_URL.',
  },
  'allow-http': { value: '<origin>', multiple: true, help: 'Origin that may be spoken to without TLS. Repeatable.' },
} satisfies Flags;

/** Flags of verbs that may fetch an image. */
export const FETCH_FLAGS = {
  offline: { help: 'Answer from the cache alone.' },
  force: { help: 'Fetch or build it again; the old one stays until the new one is whole.' },
  refresh: { help: 'The same as --force.' },
  ...ASKING_FLAGS,
  ...TRANSFER_FLAGS,
} satisfies Flags;

/** True when the image is to be fetched or built again. */
export function isForced(args: CommandArguments): boolean {
  return args.has('force') || args.has('refresh');
}
