import { spawnSync } from 'node:child_process';

/** False when this command ends well here, else the reason to skip what needs it. */
export function works(command: string, ...args: readonly string[]): false | string {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
  return status === 0 ? false : `"${command} ${args.join(' ')}" fails here: ${error?.message ?? stderr.trim()}`;
}

export const isRoot = process.getuid?.() === 0;

/** In a user namespace the ancestors of a folder belong to nobody, and the cache refuses that: it takes root. */
export const mounts = { skip: isRoot ? works('unshare', '-m', 'true') : 'only root can mount what root owns' };

/** For tests that inject faults into system calls. */
export const strace = { skip: works('strace', '-f', '-o', '/dev/null', 'true') };

/** A command that runs another one after shell commands, in a mount namespace of its own. */
export function afterMounts(shell: string, command: readonly string[]): readonly [string, ...string[]] {
  return ['unshare', '-m', 'sh', '-ec', `${shell}; exec "$@"`, 'sh', ...command];
}

/** Shell commands that make a folder read-only, for root too. */
export function readOnly(folder: string): string {
  return `mount --bind ${folder} ${folder}; mount -o remount,ro,bind ${folder}`;
}

/** For tests whose loopback has a public address. Many hosts of CI let only root have a network of its own. */
export const ownNetwork = { skip: works('unshare', '-rnm', 'ip', 'link', 'set', 'lo', 'up') };
