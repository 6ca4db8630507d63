import type { EnsureBaseImageOptions, Trust } from '../index.ts';
import type { CommandArguments } from './command-arguments.ts';
import type { Flags } from './grammar.ts';
import { parseChoice, parseDuration } from './units.ts';

/** Flags that choose within a reference, and say how much trusted it has to be. */
export const SELECTION_FLAGS = {
  kernel: { value: '<version>', help: 'A kernel of the set: 6.1, 6.1.155, or 5.10-no-acpi.' },
  rootfs: { value: '<name>', help: 'A root file system of the set, like amazonlinux-2023.' },
  require: { value: '<names>', multiple: true, help: 'What the kernel must have, like overlayfs,nf_tables,vsock.' },
  firecracker: { value: '<version>', help: 'The release it is for. Default: the one on PATH, else the newest.' },
  'minimum-trust': { value: '<trust>', help: 'first-use, published, signed or pinned: refuse what is trusted less.' },
} satisfies Flags;

/** The same, and how old the answer may be. */
export const CHOICE_FLAGS = {
  ...SELECTION_FLAGS,
  frozen: { help: 'Take only what the lock file says.' },
  'prefer-offline': { help: 'Answer from the cache when it has an answer; else ask.' },
  'max-age': { value: '<time>', help: 'The same for answers no older than this, like 12h.' },
  'stale-if-error': { help: 'When nobody can be asked, answer from the cache, and say so.' },
} satisfies Flags;

const TRUST: readonly Trust[] = ['first-use', 'published', 'signed', 'pinned'];

export function choicesOf(args: CommandArguments): EnsureBaseImageOptions {
  const require = args.texts('require').flatMap((text) => text.split(',').map((name) => name.trim()));
  return {
    kernel: args.text('kernel'),
    rootfs: args.text('rootfs'),
    require: require.filter((name) => name !== ''),
    firecrackerVersion: args.text('firecracker'),
    minimumTrust: args.read('minimum-trust', (text) => parseChoice(text, TRUST)),
    frozen: args.has('frozen') ? true : undefined,
    preferOffline: args.has('prefer-offline') ? true : undefined,
    maxAgeMs: args.read('max-age', parseDuration),
    staleIfError: args.has('stale-if-error') ? true : undefined,
  };
}
