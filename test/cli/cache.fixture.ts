import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

/** A folder of one test: an empty cache, and images beside it to put there. */
export interface Workplace {
  readonly dir: string;
  readonly cacheDir: string;
  /** Writes a kernel, a root and the manifest that names them, and returns the manifest's path. */
  readonly image: (bundleId: string, options?: ImageOptions) => Promise<string>;
}

export interface ImageOptions {
  readonly initrd?: boolean;
  readonly bootArgs?: string;
}

/** Makes one, and removes it after the test. */
export async function workplace(t: TestContext): Promise<Workplace> {
  const dir = await realpath(await mkdtemp(join(tmpdir(), 'smartvm-cli-')));
  t.after(() => rm(dir, { recursive: true, force: true }));
  return {
    dir,
    cacheDir: join(dir, 'cache'),
    async image(bundleId, { initrd = false, bootArgs } = {}) {
      const folder = join(dir, bundleId);
      await mkdir(folder);
      await writeFile(join(folder, 'vmlinux'), `\x7fELF kernel of ${bundleId}`);
      await writeFile(join(folder, 'rootfs.squashfs'), `hsqs root of ${bundleId}`.padEnd(5000));
      if (initrd) await writeFile(join(folder, 'initrd.img'), `initrd of ${bundleId}`);
      const manifest = {
        schemaVersion: 1,
        bundleId,
        arch: process.arch === 'arm64' ? 'aarch64' : 'x86_64',
        firecrackerVersion: 'v1.9.0',
        rootfsType: 'squashfs',
        kernel: { path: './vmlinux' },
        rootfs: { path: './rootfs.squashfs' },
        ...(initrd ? { initrd: { path: './initrd.img' } } : {}),
        ...(bootArgs === undefined ? {} : { bootArgs }),
      };
      const path = join(folder, 'manifest.json');
      await writeFile(path, JSON.stringify(manifest));
      return path;
    },
  };
}
