import { execFile } from 'node:child_process';
import { access, constants, readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { hostArch, type Arch } from '../image.ts';
import { commandFor } from './qemu.ts';
import type { FoundProgram, HostFacts } from './vmm.ts';

const run = promisify(execFile);
/** Boots every kernel that was tried, also where it is wrong; the guest's clock then drifts until it is set. */
const FALLBACK_TSC_KHZ = 2_000_000;

/** Looks at this machine: which VMMs for guests of this architecture are on PATH, and how fast its clock ticks. */
export async function hostFacts(guestArch: Arch): Promise<HostFacts> {
  const [qemu, firecracker, tscKhz] = await Promise.all([
    found(commandFor({ arch: guestArch }), /version (\d+\.\d+\.\d+)/),
    firecrackerOnPath(),
    readTscKhz(),
  ]);
  return {
    os: process.platform,
    arch: hostArch(),
    cpus: availableParallelism(),
    tscKhz,
    ...(qemu === undefined ? {} : { qemu }),
    ...(firecracker === undefined ? {} : { firecracker }),
  };
}

/** The Firecracker that this machine would run, with its version as `1.15.1`. */
export async function firecrackerOnPath(): Promise<FoundProgram | undefined> {
  return await found('firecracker', /^Firecracker v(\d+\.\d+\.\d+)/m);
}

/** The full path of a program on PATH, or `undefined`. */
export async function onPath(name: string): Promise<string | undefined> {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    if (folder === '') continue;
    const path = join(folder, name);
    const runs = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (runs) return path;
  }
  return undefined;
}

async function found(name: string, version: RegExp): Promise<FoundProgram | undefined> {
  const command = await onPath(name);
  if (command === undefined) return undefined;
  const { stdout } = await run(command, ['--version'], { timeout: 10_000 }).catch(() => ({ stdout: '' }));
  return { command, version: version.exec(stdout)?.[1] ?? '0.0.0' };
}

/** The rate stands in `/proc/cpuinfo` as `cpu MHz`; hosts that are not x86 have no such line and need none. */
async function readTscKhz(): Promise<number> {
  const text = await readFile('/proc/cpuinfo', 'utf8').catch(() => '');
  const megahertz = Number(/^cpu MHz\s*:\s*([\d.]+)/m.exec(text)?.[1] ?? NaN);
  return Number.isFinite(megahertz) && megahertz > 0 ? Math.round(megahertz * 1000) : FALLBACK_TSC_KHZ;
}
