import type { BaseImageManagerOptions } from '../index.ts';
import type { CommandArguments } from './command-arguments.ts';
import type { Flags } from './grammar.ts';
import { parseChoice, parseCount, parseDuration, parsePlace, parseRate } from './units.ts';

/** Flags that say how images are fetched. */
export const TRANSFER_FLAGS = {
  'limit-rate': { value: '<rate>', help: 'Bytes a second, all transfers together, like 5M or 500K.' },
  connections: { value: '<n>', help: 'Connections at once, all together. Default: one a file.' },
  retries: { value: '<n>', help: 'How often a transfer that gets no further is tried again. Default: 4.' },
  'connect-timeout': { value: '<time>', help: 'How long connecting may take. Default: 10s.' },
  'idle-timeout': { value: '<time>', help: 'How long nothing may come. Default: 30s.' },
  mirror: {
    value: '<place>',
    multiple: true,
    help: 'Another place for the same bytes, asked before $SMARTVM_MIRRORS. Repeatable.',
  },
  verify: { value: 'always', help: 'Hash what is here, and read back what was fetched, every time.' },
  progress: { value: '<how>', help: 'bars, lines, json or none. Default: bars on a terminal, else lines.' },
} satisfies Flags;

type TransferOptions = Pick<
  BaseImageManagerOptions,
  'bytesPerSecond' | 'connections' | 'limits' | 'mirrors' | 'verify'
>;

/** What these flags say, over what was configured. */
export function transferOptionsOf(
  args: CommandArguments,
  env: NodeJS.ProcessEnv,
  configured: TransferOptions,
): TransferOptions {
  const limits = {
    retries: args.read('retries', (text) => parseCount(text, 0)),
    connectTimeoutMs: args.read('connect-timeout', parseDuration),
    idleTimeoutMs: args.read('idle-timeout', parseDuration),
  };
  const given = Object.fromEntries(Object.entries(limits).filter(([, limit]) => limit !== undefined));
  const mirrors = args.texts('mirror').map((text) => args.reading('--mirror', text, parsePlace));
  const named = env['SMARTVM_MIRRORS'];
  const others = named ? named.split(/[\s,]+/).filter((place) => place !== '') : configured.mirrors;
  return {
    bytesPerSecond: args.read('limit-rate', parseRate) ?? configured.bytesPerSecond,
    connections: args.read('connections', (text) => parseCount(text, 1)) ?? configured.connections,
    limits: { ...configured.limits, ...given },
    mirrors: mirrors.length === 0 ? others : [...mirrors, ...(others ?? [])],
    verify: args.read('verify', (text) => parseChoice(text, ['always'])) ?? configured.verify,
  };
}
