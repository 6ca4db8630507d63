import { mkdir, open, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SmartVMError } from '../../errors.ts';
import type { Arch, Context } from '../../image.ts';
import { buildInitrd } from './initrd.ts';
import { parseDpkgStatus } from './dpkg-status.ts';
import { ASIDE, DEBIAN_ARCHES, SQUASH_OPTIONS, recipeArguments } from './recipe.ts';
import { runTool } from './run-tool.ts';
import { plainKernel } from './vmlinux.ts';

export interface BuildPlan {
  readonly suite: string;
  readonly arch: Arch;
  /** What mmdebstrap is told to include. */
  readonly include: readonly string[];
  /** What it must come to, `name=version`, sorted. */
  readonly packages: readonly string[];
  readonly epochSeconds: number;
}

/** What mmdebstrap says of its own steps; what it says of hooks is for those who write them. */
const STEP = /^I: ((?:downloading|extracting|installing|cleaning|creating)[a-z ]{3,60})/;

/** Files in the folder of a build, by the names they have in a bundle. */
export const BUILT = { kernel: 'vmlinux', initrd: 'initrd.cpio.gz', rootfs: 'rootfs.squashfs' } as const;

/**
 * Builds kernel, initrd and root file system into a folder. The same packages give the same bytes.
 *
 * Rejects with `BASE_IMAGE_BUILD_FAILED`; what is in the folder then is the caller's to remove.
 */
export async function build(plan: BuildPlan, folder: string, context: Context): Promise<void> {
  const step = (message: string): void => context.onProgress({ phase: 'step', message });
  const env = { SOURCE_DATE_EPOCH: String(plan.epochSeconds) };
  const rootTar = join(folder, 'root.tar');
  const aside = join(folder, 'aside');

  step(`installing ${plan.packages.length} packages of Debian ${plan.suite}`);
  await runMmdebstrap(plan, folder, rootTar, env, context);

  step('taking kernel and modules out');
  await mkdir(aside);
  const wanted = ['./usr/bin/busybox', './usr/lib/modules', './var/lib/dpkg/status'];
  await runTool(
    'tar',
    ['-xf', rootTar, '-C', aside, '--no-same-owner', '--delay-directory-restore', ...wanted],
    context,
  );
  await requirePackages(plan, join(aside, 'var/lib/dpkg/status'));

  step('packing the root file system');
  const input = await open(rootTar);
  try {
    const squashing = squash(join(folder, BUILT.rootfs), input.fd, env, context);
    const others = makeKernelAndInitrd(plan, aside, folder, context);
    const results = await Promise.allSettled([squashing, others]);
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  } finally {
    await input.close();
  }
  await rm(rootTar);
  await rm(aside, { recursive: true });
  await rm(join(folder, ASIDE), { recursive: true });
}

async function runMmdebstrap(
  plan: BuildPlan,
  folder: string,
  rootTar: string,
  env: Record<string, string>,
  context: Context,
): Promise<void> {
  const output = await open(rootTar, 'wx', 0o600);
  try {
    const args = [
      `--architectures=${DEBIAN_ARCHES[plan.arch]}`,
      ...recipeArguments(plan.include, folder),
      plan.suite,
      '-',
    ];
    const onLine = (line: string): void => {
      const words = STEP.exec(line)?.[1];
      if (words !== undefined) context.onProgress({ phase: 'step', message: words });
    };
    await runTool('mmdebstrap', args, context, { outputFd: output.fd, env, onLine });
  } finally {
    await output.close();
  }
}

function squash(target: string, inputFd: number, env: Record<string, string>, context: Context): Promise<string> {
  const options = ['-tar', ...SQUASH_OPTIONS, '-no-progress', '-quiet'];
  // The root of a tar belongs to whoever packs it (squashfs-tools 4.5 has an option, and does not heed it for tars).
  const asRoot = process.getuid?.() === 0 ? [] : ['unshare', '--user', '--map-root-user'];
  const [command = 'mksquashfs', ...args] = [...asRoot, 'mksquashfs', '-', target, ...options];
  return runTool(command, args, context, { env, inputFd });
}

async function makeKernelAndInitrd(plan: BuildPlan, aside: string, folder: string, context: Context): Promise<void> {
  const vmlinuz = await readFile(join(folder, ASIDE, 'vmlinuz'));
  await writeFile(join(folder, BUILT.kernel), await plainKernel(vmlinuz, plan.arch, folder, context));
  const modules = join(aside, 'usr/lib/modules');
  const [version] = await readdir(modules);
  if (version === undefined)
    throw new SmartVMError('Failed to build the initrd: the kernel came without modules', 'BASE_IMAGE_BUILD_FAILED');
  const initrd = await buildInitrd({
    busybox: await readFile(join(aside, 'usr/bin/busybox')),
    modulesDir: join(modules, version),
    epochSeconds: plan.epochSeconds,
    unpack: async (path) => {
      await runTool(path.endsWith('.zst') ? 'zstd' : 'xz', ['-dk', path], context);
      return await readFile(path.replace(/\.(?:xz|zst)$/, ''));
    },
  });
  await writeFile(join(folder, BUILT.initrd), initrd);
}

/** The archive may have moved between looking up and installing; a bundle must not claim versions it does not hold. */
async function requirePackages(plan: BuildPlan, statusPath: string): Promise<void> {
  const installed = parseDpkgStatus(await readFile(statusPath, 'utf8'));
  const differing = [
    ...plan.packages.filter((one) => !installed.includes(one)),
    ...installed.filter((one) => !plan.packages.includes(one)),
  ];
  if (differing.length === 0) return;
  throw new SmartVMError(
    `Failed to build from Debian packages: the archive changed meanwhile (${differing.slice(0, 6).join(', ')})`,
    'BASE_IMAGE_BUILD_FAILED',
    { hint: 'Ask again.', retryable: true },
  );
}
