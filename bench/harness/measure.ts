import { spawn } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Sample } from './result.ts';

/** What a command cost, and what it printed. */
export interface Measured {
  readonly sample: Required<Sample>;
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface MeasureOptions {
  /** Working folder of the command. */
  readonly cwd: string;
  /** The whole environment: nothing of ours is inherited. */
  readonly env: Readonly<Record<string, string>>;
  /** Where two small files may be written. */
  readonly scratch: string;
  /** Called with the process group that was started, and with nothing once it is gone. */
  readonly onGroup?: (group: number | undefined) => void;
}

/**
 * Times with `time` of bash, which counts in milliseconds and leaves its own start out. GNU time around it knows the largest resident set of
 * all processes that were waited for. Nothing of the harness lies inside either.
 */
const TIMED = `set -e -o pipefail
TIMEFORMAT='%3R %3U %3S'
exec 3>&2
{ time { eval "$1"; } 2>&3; } 2>"$2"`;

/** Runs a line of shell as a process tree of its own, and waits for its end. */
export async function measure(script: string, options: MeasureOptions): Promise<Measured> {
  const times = join(options.scratch, 'times');
  const peak = join(options.scratch, 'peak');
  await Promise.all([writeFile(times, ''), writeFile(peak, '')]);
  const child = spawn('time', ['-q', '-o', peak, '-f', '%M', 'bash', '-c', TIMED, 'bench', script, times], {
    cwd: options.cwd,
    env: options.env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  options.onGroup?.(child.pid);
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const status = await new Promise<number>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve(code ?? 128));
  });
  options.onGroup?.(undefined);
  const [wall = NaN, user = NaN, sys = NaN] = (await readFile(times, 'utf8')).trim().split(' ').map(Number);
  const peakKiB = Number(await readFile(peak, 'utf8'));
  const sample = {
    wallMs: Math.round(wall * 1000),
    cpuMs: Math.round((user + sys) * 1000),
    peakMiB: Math.round(peakKiB / 102.4) / 10,
  };
  return { sample, status, stdout, stderr };
}
