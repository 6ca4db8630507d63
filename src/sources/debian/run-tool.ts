import { spawn, type ChildProcess } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { delimiter, join } from 'node:path';
import { SmartVMError } from '../../errors.ts';
import type { Context } from '../../image.ts';

const PACKAGE_OF: Readonly<Record<string, string>> = {
  mmdebstrap: 'mmdebstrap',
  mksquashfs: 'squashfs-tools',
  tar: 'tar',
  xz: 'xz-utils',
  zstd: 'zstd',
};
const SHOWN_LINES = 15;

export interface ToolOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Standard input comes from this open file; otherwise there is none. */
  readonly inputFd?: number;
  /** Standard output goes to this open file; otherwise it is returned. */
  readonly outputFd?: number;
  /** Called with every line of standard error. */
  readonly onLine?: (line: string) => void;
}

/**
 * Makes sure that these programs are on PATH. Rejects with `BASE_IMAGE_BUILD_FAILED`, naming all that are not and the command
 * that installs them.
 */
export async function requireTools(names: readonly string[]): Promise<void> {
  const missing: string[] = [];
  for (const name of names) if (!(await isOnPath(name))) missing.push(name);
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map((name) => PACKAGE_OF[name] ?? name))];
  throw new SmartVMError(
    `Failed to build from Debian packages: ${missing.join(', ')} not found on PATH`,
    'BASE_IMAGE_BUILD_FAILED',
    {
      hint: `apt-get install ${packages.join(' ')}`,
    },
  );
}

/**
 * Runs a program to its end and returns what it printed. It is asked to end when the signal is aborted, and when this process
 * dies. Rejects with `BASE_IMAGE_BUILD_FAILED` and its last lines when it fails.
 */
export async function runTool(
  command: string,
  args: readonly string[],
  context: Context,
  options: ToolOptions = {},
): Promise<string> {
  context.signal?.throwIfAborted();
  const [program = command, ...all] = [
    ...((await isOnPath('setpriv')) ? ['setpriv', '--pdeathsig', 'TERM', '--'] : []),
    command,
    ...args,
  ];
  const child = spawn(program, all, {
    stdio: [options.inputFd ?? 'ignore', options.outputFd ?? 'pipe', 'pipe'],
    env: { ...process.env, LC_ALL: 'C.UTF-8', ...options.env },
    detached: true,
  });
  const last: string[] = [];
  if (child.stderr !== null) {
    createInterface({ input: child.stderr }).on('line', (line) => {
      last.push(line);
      if (last.length > SHOWN_LINES) last.shift();
      options.onLine?.(line);
    });
  }
  const printed: Buffer[] = [];
  child.stdout?.on('data', (chunk: Buffer) => printed.push(chunk));
  const { code, signal } = await ended(child, context.signal);
  context.signal?.throwIfAborted();
  if (code === 0) return Buffer.concat(printed).toString('utf8');
  const how = signal === null ? `status ${code ?? 'none'}` : signal;
  throw new SmartVMError(`${command} ended with ${how}:\n  ${last.join('\n  ')}`, 'BASE_IMAGE_BUILD_FAILED', {
    hint: hintFor(last.join('\n')),
    retryable: true,
  });
}

async function ended(
  child: ChildProcess,
  signal: AbortSignal | undefined,
): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
  const onAbort = (): void => {
    // The whole group: mmdebstrap's children end with it, and it clears its own folder away.
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGTERM');
  };
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    return await new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, exitSignal) => resolve({ code, signal: exitSignal }));
    });
  } finally {
    signal?.removeEventListener('abort', onAbort);
  }
}

async function isOnPath(name: string): Promise<boolean> {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const runs = await access(join(folder, name), constants.X_OK).then(
      () => true,
      () => false,
    );
    if (runs) return true;
  }
  return false;
}

function hintFor(said: string): string {
  if (/newuidmap|newgidmap|subuid|subgid|unshare|chroot mode/.test(said)) {
    return 'Building without root needs user namespaces: apt-get install uidmap, and a range for this user in /etc/subuid and /etc/subgid. Or build as root.';
  }
  if (/No space left/.test(said)) return 'Make room in the temporary folder, or name another one with TMPDIR.';
  if (/Could not resolve|Failed to fetch|Unable to connect|Temporary failure/.test(said)) {
    return 'The package archive did not answer: check the network and the apt sources of this machine.';
  }
  return 'The last lines say why.';
}
