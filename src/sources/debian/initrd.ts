import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { SmartVMError } from '../../errors.ts';
import { cpioArchive, type CpioEntry } from './cpio.ts';

/** What it takes to find a virtio root over either transport; a module that is built in has no file and is left out. */
const WANTED: readonly string[] = ['virtio_mmio', 'virtio_pci', 'virtio_blk', 'squashfs', 'ext4', 'overlay'];

/** The modules to load, in an order in which each finds what it needs, from a `modules.dep` (kmod's depmod). */
export function modulesInOrder(modulesDep: string, wanted: readonly string[] = WANTED): readonly string[] {
  const needs = new Map<string, readonly string[]>();
  for (const line of modulesDep.split('\n')) {
    const [path, dependencies = ''] = line.split(':');
    if (path !== undefined && path !== '') needs.set(path, dependencies.trim().split(/\s+/).filter(Boolean));
  }
  const ordered: string[] = [];
  const add = (path: string): void => {
    if (ordered.includes(path)) return;
    for (const needed of needs.get(path) ?? []) add(needed);
    if (!ordered.includes(path)) ordered.push(path);
  };
  for (const name of wanted) {
    const path = [...needs.keys()].find((one) => moduleName(one) === name);
    if (path !== undefined) add(path);
  }
  return ordered;
}

export interface InitrdParts {
  /** A static busybox. */
  readonly busybox: Buffer;
  /** The tree `lib/modules/<version>` with its `modules.dep`. */
  readonly modulesDir: string;
  /** Gives the bytes of a module that is stored compressed. */
  readonly unpack: (path: string) => Promise<Buffer>;
  readonly epochSeconds: number;
}

/** A gzip'd initrd that finds the root file system and hands over to it; the same bytes for the same parts. */
export async function buildInitrd({ busybox, modulesDir, unpack, epochSeconds }: InitrdParts): Promise<Buffer> {
  const paths = modulesInOrder(await readFile(join(modulesDir, 'modules.dep'), 'utf8'));
  if (busybox.length === 0)
    throw new SmartVMError('Failed to build the initrd: busybox is empty', 'BASE_IMAGE_BUILD_FAILED');
  const modules: CpioEntry[] = [];
  for (const [index, path] of paths.entries()) {
    const file = join(modulesDir, path);
    const bytes = path.endsWith('.ko') ? await readFile(file) : await unpack(file);
    modules.push({ name: `m/${String(index).padStart(2, '0')}-${moduleName(path)}.ko`, mode: 0o644, bytes });
  }
  const folders = ['bin', 'dev', 'm', 'mnt', 'proc', 'rw', 'sys'].map((name) => ({ name, mode: 0o755 }));
  const entries: CpioEntry[] = [
    ...folders,
    { name: 'bin/busybox', mode: 0o755, bytes: busybox },
    { name: 'init', mode: 0o755, bytes: Buffer.from(INIT) },
    ...modules,
  ];
  return gzipSync(cpioArchive(entries, epochSeconds), { level: 9 });
}

/** `kernel/fs/squashfs/squashfs.ko.xz` is the module `squashfs`; `-` and `_` are one in such names. */
function moduleName(path: string): string {
  return path
    .slice(path.lastIndexOf('/') + 1)
    .replace(/\.ko(?:\.\w+)?$/, '')
    .replaceAll('-', '_');
}

/**
 * Understands `root=`, `rootfstype=`, `ro`, `rw`, `init=`, and `overlay=tmpfs` for a writable tree over a read-only root. What
 * stands behind ` -- ` on the kernel's command line reaches init. Its words of failure are known to whoever waits for the boot.
 */
const INIT = `#!/bin/busybox sh
b=/bin/busybox
fail() {
  $b echo "smartvm-initrd: cannot $*"
  $b sleep 0.2
  $b poweroff -f
}
$b mount -t devtmpfs dev /dev
$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
root=/dev/vda type= mode=ro init=/sbin/init overlay=
for word in $($b cat /proc/cmdline); do
  case $word in
    --) break ;;
    root=*) root=\${word#root=} ;;
    rootfstype=*) type=\${word#rootfstype=} ;;
    ro | rw) mode=$word ;;
    init=*) init=\${word#init=} ;;
    overlay=*) overlay=\${word#overlay=} ;;
  esac
done
for module in /m/*.ko; do
  case $module in
    *-overlay.ko) [ -n "$overlay" ] || continue ;;
  esac
  $b insmod "$module" || $b echo "smartvm-initrd: $module did not load"
done
tries=0
while [ ! -b "$root" ]; do
  tries=$((tries + 1))
  [ $tries -lt 1000 ] || fail "find the root device $root"
  $b usleep 10000
done
$b mount \${type:+-t $type} -o $mode "$root" /mnt || fail "mount $root\${type:+ as $type}"
target=/mnt
if [ -n "$overlay" ]; then
  $b mount -t tmpfs rw /rw && $b mkdir /rw/upper /rw/work /rw/root || fail "make a writable layer"
  $b mount -t overlay -o lowerdir=/mnt,upperdir=/rw/upper,workdir=/rw/work overlay /rw/root || fail "mount an overlay over $root"
  target=/rw/root
fi
[ -x "$target/$init" ] || [ -L "$target/$init" ] || fail "find $init in $root"
$b mount --move /dev $target/dev || $b umount /dev
$b umount /proc
$b umount /sys
exec $b switch_root $target "$init" "$@"
`;
