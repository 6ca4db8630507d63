import { readFile } from 'node:fs/promises';
import { oldestSupporting } from '../../compat/guest-kernels.ts';
import { SmartVMError } from '../../errors.ts';
import { bootArgsFor, type ResolveRequest, type ResolvedImage } from '../../image.ts';
import type { BuildPlan } from './build.ts';
import { kernelOf, lookUpPackages } from './package-set.ts';
import { DEBIAN_ARCHES, DEFAULT_EPOCH, KERNEL_PACKAGES, PACKAGES } from './recipe.ts';
import { requireTools } from './run-tool.ts';
import { SharedBuild } from './shared-build.ts';

const FALLBACK_SUITE = 'bookworm';
const TOOLS = ['mmdebstrap', 'mksquashfs', 'tar'];

/**
 * The image of a suite (empty: of this machine's) as the archive has it now; nothing is built yet. Rejects with
 * `BASE_IMAGE_BUILD_FAILED`, or `INVALID_BASE_IMAGE_REFERENCE` for what is no name of a suite.
 */
export async function resolveDebian(locator: string, request: ResolveRequest): Promise<ResolvedImage> {
  await requireTools(TOOLS);
  const { arch } = request;
  const suite = suiteOf(locator === '' ? await ownSuite() : locator);
  request.onProgress({ phase: 'step', message: `looking up the packages of Debian ${suite}` });
  const include = [...PACKAGES, KERNEL_PACKAGES[arch]];
  const packages = await lookUpPackages(suite, DEBIAN_ARCHES[arch], include, request);
  const kernel = kernelOf(packages);
  const plan: BuildPlan = { suite, arch, include, packages, epochSeconds: epochFrom(process.env) };
  const shared = new SharedBuild(plan);
  return {
    facts: {
      reference: locator === '' ? 'debian' : `debian:${locator}`,
      preset: 'debian',
      bundleId: `debian-${suite}-${arch}-${kernel.version.replace(/[^A-Za-z0-9._-]/g, '_')}`,
      arch,
      ciVersion: 'debian',
      firecrackerVersion: oldestSupporting(kernel.series),
      rootfsType: 'squashfs',
      rootfsIsReadOnly: true,
      bootArgs: bootArgsFor(arch, 'squashfs', true),
      source: { type: 'debian', suite, packages },
      trust: 'first-use',
    },
    artifacts: {
      kernel: shared.artifact('kernel'),
      initrd: shared.artifact('initrd'),
      rootfs: shared.artifact('rootfs'),
    },
    why: [
      locator === ''
        ? `${suite} is the suite of this machine, or the default where it is no Debian`
        : `${suite} was named`,
      `${packages.length} packages as the archive has them now, with kernel ${kernel.version}`,
      'kernel, initrd and root are built on this machine when they are wanted; the same packages give the same bytes',
    ],
  };
}

/** The suite of this machine when it is a Debian, so that its own sources have it; else the one that Debian 12 has. */
async function ownSuite(): Promise<string> {
  const release = await readFile('/etc/os-release', 'utf8').catch(() => '');
  const isDebian = /^ID=debian$/m.test(release);
  return (isDebian ? /^VERSION_CODENAME=(\w+)$/m.exec(release)?.[1] : undefined) ?? FALLBACK_SUITE;
}

function suiteOf(locator: string): string {
  if (/^[a-z][a-z0-9-]{0,40}$/.test(locator)) return locator;
  throw new SmartVMError(
    `Failed to read the Debian suite ${JSON.stringify(locator.slice(0, 100))}`,
    'INVALID_BASE_IMAGE_REFERENCE',
    {
      hint: 'Ask for debian:bookworm, debian:trixie, …',
    },
  );
}

/** https://reproducible-builds.org/specs/source-date-epoch/ */
function epochFrom(env: NodeJS.ProcessEnv): number {
  const given = env['SOURCE_DATE_EPOCH'];
  if (given === undefined || given === '') return DEFAULT_EPOCH;
  if (/^\d{1,10}$/.test(given)) return Number(given);
  throw new SmartVMError(
    `SOURCE_DATE_EPOCH must be a number of seconds, got ${JSON.stringify(given)}`,
    'INVALID_BASE_IMAGE_OPTIONS',
  );
}
