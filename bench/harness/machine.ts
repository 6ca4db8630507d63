import { execFileSync } from 'node:child_process';
import { cpus, loadavg, release, totalmem } from 'node:os';

/** What a figure depends on besides the code. */
export interface MachineFacts {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryMiB: number;
  readonly kernel: string;
  readonly node: string;
  readonly openssl: string;
  /** Type of the file system that was written to. */
  readonly fileSystem: string;
  /** Over one minute, when the bench began and when it ended: much of it that is not ours spoils figures. */
  readonly loadBefore: number;
  readonly loadAfter: number;
}

/** `dir` is where the bench writes. */
export function machineFacts(dir: string, loadBefore: number): MachineFacts {
  const [first] = cpus();
  return {
    cpu: first?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryMiB: Math.round(totalmem() / 1024 ** 2),
    kernel: release(),
    node: process.version,
    openssl: process.versions.openssl,
    fileSystem: execFileSync('findmnt', ['-n', '-o', 'FSTYPE', '-T', dir], { encoding: 'utf8' }).trim(),
    loadBefore,
    loadAfter: currentLoad(),
  };
}

export function currentLoad(): number {
  return Math.round((loadavg()[0] ?? 0) * 100) / 100;
}
