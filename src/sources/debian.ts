import { createReadStream } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { oldestSupporting } from '../compat/guest-kernels.ts';
import { SmartVMError } from '../errors.ts';
import {
  bootArgsFor,
  type Artifact,
  type ArtifactRole,
  type ByteRange,
  type Context,
  type ImageSource,
  type SourceSettings,
} from '../image.ts';
import { BUILT, build, type BuildPlan } from './debian/build.ts';
import { kernelOf, lookUpPackages } from './debian/package-set.ts';
import { DEBIAN_ARCHES, DEFAULT_EPOCH, KERNEL_PACKAGES, PACKAGES, RECIPE_VERSION } from './debian/recipe.ts';
import { requireTools } from './debian/run-tool.ts';

const FALLBACK_SUITE = 'bookworm';
const TOOLS = ['mmdebstrap', 'mksquashfs', 'tar'];

/**
 * Images built on this machine from Debian packages: `debian`, or `debian:<suite>`. Needs no network but the package archive.
 * The packages and their versions are the identity; the build starts when the first artifact is opened.
 */
export function createSource(_settings: SourceSettings): ImageSource {
  return {
    scheme: 'debian',
    asksEveryTime: false,
    async resolve(locator, request) {
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
      };
    },
  };
}

/**
 * One build for all artifacts of an image. It begins with the first that is opened, in a private folder that is removed once
 * every artifact that was opened has been read or given up.
 */
class SharedBuild {
  readonly #plan: BuildPlan;
  #readers = 0;
  #folder: Promise<string> | undefined;

  constructor(plan: BuildPlan) {
    this.#plan = plan;
  }

  artifact(role: ArtifactRole): Artifact {
    const { suite, arch, packages, epochSeconds } = this.#plan;
    return {
      fileName: BUILT[role],
      identity: JSON.stringify(['debian', RECIPE_VERSION, role, suite, arch, epochSeconds, packages]),
      open: async (context, range) => {
        this.#readers += 1;
        try {
          return this.#read(join(await this.#built(context), BUILT[role]), context, range);
        } catch (error) {
          await this.#leave();
          throw error;
        }
      },
    };
  }

  async *#read(path: string, { signal }: Context, range?: ByteRange): AsyncGenerator<Uint8Array> {
    try {
      const end = range?.end === undefined ? Infinity : range.end - 1;
      const stream = createReadStream(path, { start: range?.start ?? 0, end, highWaterMark: 1024 * 1024 });
      for await (const chunk of stream as AsyncIterable<Buffer>) {
        signal?.throwIfAborted();
        yield chunk;
      }
    } finally {
      await this.#leave();
    }
  }

  #built(context: Context): Promise<string> {
    this.#folder ??= this.#begin(context);
    return this.#folder;
  }

  async #begin(context: Context): Promise<string> {
    const folder = await mkdtemp(join(tmpdir(), 'smartvm-build-'));
    try {
      await build(this.#plan, folder, context);
      return folder;
    } catch (error) {
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
  }

  async #leave(): Promise<void> {
    this.#readers -= 1;
    if (this.#readers > 0 || this.#folder === undefined) return;
    const folder = this.#folder;
    this.#folder = undefined;
    await folder.then(
      (path) => rm(path, { recursive: true, force: true }),
      () => undefined,
    );
  }
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
