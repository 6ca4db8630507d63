import { access, constants } from 'node:fs/promises';
import gte from 'semver/functions/gte.js';
import { GUEST_KERNELS_AS_OF } from './compat/guest-kernels.ts';
import { RELEASES_AS_OF, supportOf, tableAgeDays } from './compat/releases.ts';
import { SmartVMError, messageOf } from './errors.ts';
import { hostArch } from './image.ts';
import type { BaseImageManager } from './manager.ts';
import { hostFacts, onPath } from './vmm/host.ts';
import { kvmDeviceProblem } from './vmm/kvm-probe.ts';
import { commandFor } from './vmm/qemu.ts';

/** One thing that was looked at. */
export interface Finding {
  readonly name: string;
  /** `bad` stands in the way of resolving, building or booting here; `note` is worth knowing. */
  readonly state: 'ok' | 'note' | 'bad';
  readonly says: string;
  /** A command or a sentence that mends it. */
  readonly fix?: string;
}

export interface DiagnoseOptions {
  /** Ask no network. */
  readonly offline?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

const NODE_FLOOR = '20.19.0';
const TABLE_TOO_OLD_DAYS = 180;
const LITTLE_SPACE_BYTES = 2 * 1024 ** 3;

/** Looks at everything it takes to resolve, build, keep and boot images on this machine. Changes nothing, boots nothing. */
export async function diagnose(
  images: BaseImageManager,
  { offline = false, signal }: DiagnoseOptions = {},
): Promise<readonly Finding[]> {
  const findings = [
    nodeFinding(process.versions.node),
    await locksFinding(),
    await cacheFinding(images),
    await buildFinding(),
    ...(await machineFindings()),
    tableFinding(new Date()),
  ];
  if (!offline) findings.push(await resolveFinding(images, signal));
  return findings;
}

/** Exported for its test. */
export function nodeFinding(version: string): Finding {
  if (gte(version, NODE_FLOOR)) return { name: 'node', state: 'ok', says: `Node ${version}` };
  return {
    name: 'node',
    state: 'bad',
    says: `Node ${version}, and ${NODE_FLOOR} is needed`,
    fix: 'Install a newer Node.',
  };
}

/** Exported for its test. */
export function tableFinding(now: Date): Finding {
  const days = tableAgeDays(now);
  const says = `what is known of releases is of ${RELEASES_AS_OF}, of guest kernels of ${GUEST_KERNELS_AS_OF}`;
  if (days <= TABLE_TOO_OLD_DAYS) return { name: 'tables', state: 'ok', says };
  return { name: 'tables', state: 'note', says: `${says}: ${days} days old`, fix: 'Use a newer smartvm.' };
}

async function locksFinding(): Promise<Finding> {
  const flock = await onPath('flock');
  if (flock !== undefined) return { name: 'locks', state: 'ok', says: flock };
  return {
    name: 'locks',
    state: 'bad',
    says: 'flock is not on PATH: nothing can be added to the cache',
    fix: 'apt-get install util-linux',
  };
}

async function cacheFinding(images: BaseImageManager): Promise<Finding> {
  const cacheDir = images.getCacheDir();
  try {
    const bundles = await images.listBaseImages();
    const { freeBytes } = await images.cacheSpace();
    const says = `${cacheDir}: ${bundles.length} images, ${(freeBytes / 1024 ** 3).toFixed(1)} GiB free`;
    const isWritable = await access(cacheDir, constants.W_OK).then(
      () => true,
      (error: unknown) => !(error instanceof Error) || !('code' in error) || error.code === 'ENOENT',
    );
    if (!isWritable) {
      return {
        name: 'cache',
        state: 'note',
        says: `${says}; it cannot be written: only what is there can be used`,
        fix: 'Name another with SMARTVM_CACHE_DIR.',
      };
    }
    if (freeBytes >= LITTLE_SPACE_BYTES) return { name: 'cache', state: 'ok', says };
    return {
      name: 'cache',
      state: 'note',
      says,
      fix: 'Make room with `smartvm prune --keep 1`, or name another disk with SMARTVM_CACHE_DIR.',
    };
  } catch (error) {
    return bad('cache', error, 'Name another with SMARTVM_CACHE_DIR.');
  }
}

async function buildFinding(): Promise<Finding> {
  const missing: string[] = [];
  for (const [program, packageName] of [
    ['mmdebstrap', 'mmdebstrap'],
    ['mksquashfs', 'squashfs-tools'],
    ['xz', 'xz-utils'],
    ['zstd', 'zstd'],
  ] as const) {
    if ((await onPath(program)) === undefined) missing.push(packageName);
  }
  if (missing.length === 0) return { name: 'build', state: 'ok', says: 'mmdebstrap, mksquashfs, xz and zstd are here' };
  return {
    name: 'build',
    state: 'note',
    says: `images cannot be built from Debian packages: ${missing.join(', ')} missing`,
    fix: `apt-get install ${missing.join(' ')}`,
  };
}

async function machineFindings(): Promise<readonly Finding[]> {
  const arch = hostArch();
  if (arch === undefined || process.platform !== 'linux') {
    return [
      {
        name: 'machines',
        state: 'bad',
        says: `machines run on Linux on x86_64 and aarch64, and this is ${process.platform} on ${process.arch}`,
      },
    ];
  }
  const { qemu, firecracker } = await hostFacts(arch);
  const kvm = await kvmDeviceProblem();
  const today = new Date().toISOString().slice(0, 10);
  const qemuPackage = arch === 'aarch64' ? 'qemu-system-arm' : 'qemu-system-x86';
  const qemuFinding: Finding =
    qemu === undefined
      ? {
          name: 'qemu',
          state: firecracker !== undefined && kvm === undefined ? 'note' : 'bad',
          says: `${commandFor({ arch })} is not on PATH`,
          fix: `apt-get install ${qemuPackage}`,
        }
      : { name: 'qemu', state: 'ok', says: `${qemu.command}, version ${qemu.version}` };
  const kvmFinding: Finding =
    kvm === undefined
      ? {
          name: 'kvm',
          state: 'ok',
          says: '/dev/kvm opens; that a guest boots with it is seen with `smartvm boot <image> --check`',
        }
      : {
          name: 'kvm',
          state: 'note',
          says: `${kvm}: guests run by emulation, ten times slower`,
          fix: 'Where it is allowed: usermod -aG kvm $USER, or nested virtualisation.',
        };
  return [qemuFinding, firecrackerFinding(firecracker, today), kvmFinding];
}

/** Exported for its test. */
export function firecrackerFinding(
  found: { readonly command: string; readonly version: string } | undefined,
  today: string,
): Finding {
  if (found === undefined) return { name: 'firecracker', state: 'note', says: 'not on PATH; QEMU is used' };
  const says = `${found.command}, version ${found.version}`;
  const support = supportOf(`v${found.version}`, today);
  if (support.state === 'ended') {
    return {
      name: 'firecracker',
      state: 'note',
      says: `${says}: its support ended on ${support.since}`,
      fix: 'Install a release that is supported.',
    };
  }
  if (support.state === 'older')
    return {
      name: 'firecracker',
      state: 'note',
      says: `${says}: older than anything that is known`,
      fix: 'Install a release that is supported.',
    };
  return { name: 'firecracker', state: 'ok', says };
}

async function resolveFinding(images: BaseImageManager, signal: AbortSignal | undefined): Promise<Finding> {
  try {
    const { bundleId } = await images.resolveBaseImage({ preset: 'latest', signal });
    return { name: 'latest', state: 'ok', says: `would be ${bundleId}` };
  } catch (error) {
    signal?.throwIfAborted();
    return bad('latest', error, 'Build an image here instead: smartvm ensure debian');
  }
}

function bad(name: string, error: unknown, fix: string): Finding {
  const hint = error instanceof SmartVMError ? error.hint : undefined;
  return { name, state: 'bad', says: messageOf(error), fix: hint ?? fix };
}
