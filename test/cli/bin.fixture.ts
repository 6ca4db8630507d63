import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

/** The arguments of `node` that start the command from its sources. */
export const BIN: readonly string[] = ['--import', import.meta.resolve('tsx'), MAIN];

export interface Finished {
  /** The exit status, or the name of the signal that ended it. */
  readonly status: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  readonly child: ChildProcessWithoutNullStreams;
  readonly finished: Promise<Finished>;
}

export interface BinOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
}

/** Starts the command in a process of its own, without the settings of whoever runs the tests. */
export function startBin(args: readonly string[], { env = {}, cwd }: BinOptions = {}): Running {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(?:SMARTVM_|CI$|XDG_)/.test(name));
  const child = spawn(process.execPath, [...BIN, ...args], {
    env: { ...Object.fromEntries(inherited), SMARTVM_CONFIG: '/dev/null', ...env },
    ...(cwd === undefined ? {} : { cwd }),
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const finished = new Promise<Finished>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ status: code ?? signal ?? 'unknown', stdout, stderr }));
  });
  return { child, finished };
}

/** Runs the command to its end, with nothing on stdin. */
export async function runBin(args: readonly string[], options?: BinOptions): Promise<Finished> {
  const { child, finished } = startBin(args, options);
  child.stdin.end();
  return await finished;
}
