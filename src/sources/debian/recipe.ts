/** Part of every identity: raise it when the code that packs kernel, initrd and root changes what comes out. */
const PACKING_VERSION = 2;

/** Timestamp of everything that is built, unless SOURCE_DATE_EPOCH says otherwise: 2023-06-10, the day of Debian 12. */
export const DEFAULT_EPOCH = 1_686_355_200;

/** What the guest holds besides Debian's essential packages. `tiny-initramfs` is the smallest that satisfies the kernel. */
export const PACKAGES: readonly string[] = [
  'systemd-sysv',
  'udev',
  'iproute2',
  'socat',
  'mount',
  'kmod',
  'procps',
  'busybox-static',
  'tiny-initramfs',
];

/** The kernel for virtual machines of an architecture, in Debian's words. */
export const KERNEL_PACKAGES = { x86_64: 'linux-image-cloud-amd64', aarch64: 'linux-image-cloud-arm64' } as const;
export const DEBIAN_ARCHES = { x86_64: 'amd64', aarch64: 'arm64' } as const;

/** Where the build leaves what is not for the root file system. */
export const ASIDE = '.smartvm';

/** What a guest has no use for: documentation, and drivers of hardware that no virtual machine shows. */
const LEFT_OUT: readonly string[] = [
  '/usr/share/doc/*',
  '/usr/share/man/*',
  '/usr/share/info/*',
  '/usr/share/locale/*',
  '/usr/share/lintian/*',
  '/usr/share/bug/*',
  '/lib/udev/hwdb.d/*',
  '/lib/modules/*/kernel/arch/*/kvm/*',
  '/lib/modules/*/kernel/drivers/gpu/*',
  '/lib/modules/*/kernel/drivers/infiniband/*',
  '/lib/modules/*/kernel/drivers/net/ethernet/*',
  '/lib/modules/*/kernel/drivers/scsi/*',
  '/lib/modules/*/kernel/drivers/target/*',
  '/lib/modules/*/kernel/drivers/usb/*',
  '/lib/modules/*/kernel/drivers/md/*',
  '/lib/modules/*/kernel/fs/ceph/*',
  '/lib/modules/*/kernel/fs/gfs2/*',
  '/lib/modules/*/kernel/fs/ocfs2/*',
  '/lib/modules/*/kernel/fs/smb/*',
  '/lib/modules/*/kernel/fs/cifs/*',
];

/** Units that wait for, or do, what a small guest on a read-only root does not need. */
const MASKED_UNITS: readonly string[] = [
  'systemd-logind.service',
  'systemd-timesyncd.service',
  'systemd-random-seed.service',
  'systemd-update-utmp.service',
  'systemd-journal-flush.service',
  'systemd-pstore.service',
  'systemd-hwdb-update.service',
  'systemd-firstboot.service',
  'modprobe@drm.service',
  'modprobe@configfs.service',
  'modprobe@fuse.service',
  'dev-hugepages.mount',
  'dev-mqueue.mount',
  'sys-kernel-debug.mount',
  'sys-kernel-tracing.mount',
  'fstrim.timer',
  'dpkg-db-backup.timer',
  'systemd-tmpfiles-clean.timer',
  'getty@tty1.service',
];

const AUTOLOGIN_UNIT = `[Unit]
Description=Root shell on %I
After=systemd-user-sessions.service
[Service]
ExecStart=-/sbin/agetty --autologin root --keep-baud 115200,57600,38400,9600 %I dumb
Type=idle
Restart=always
UtmpIdentifier=%I
TTYPath=/dev/%I
TTYReset=yes
StandardInput=tty
StandardOutput=tty
KillMode=process
IgnoreSIGPIPE=no
SendSIGHUP=yes
[Install]
WantedBy=getty.target
`;

const FSTAB = `tmpfs /tmp tmpfs mode=1777,nosuid,nodev 0 0
tmpfs /var/tmp tmpfs mode=1777,nosuid,nodev 0 0
tmpfs /var/log tmpfs mode=0755,nosuid,nodev 0 0
tmpfs /var/lib/systemd tmpfs mode=0755,nosuid,nodev 0 0
tmpfs /root tmpfs mode=0700,nosuid,nodev 0 0
`;

/** How the root file system is packed. */
export const SQUASH_OPTIONS: readonly string[] = ['-root-mode', '755', '-comp', 'zstd', '-Xcompression-level', '6'];

/** Everything besides the packages that decides about the bytes of an image: part of its identity. */
export function recipeIdentity(packages: readonly string[]): readonly unknown[] {
  return [PACKING_VERSION, recipeArguments(packages, ''), SQUASH_OPTIONS];
}

/**
 * Arguments of mmdebstrap that make this image, without suite and target. The packed kernel is left as `vmlinuz` in a folder
 * named `ASIDE` below `folder`.
 */
export function recipeArguments(packages: readonly string[], folder: string): readonly string[] {
  return [
    '--variant=essential',
    '--format=tar',
    '--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr',
    // It would leave folders whose owner depends on whether apt could leave root, which depends on the folder of the build.
    '--skip=cleanup/apt',
    `--include=${packages.join(',')}`,
    ...LEFT_OUT.map((pattern) => `--dpkgopt=path-exclude=${pattern}`),
    `--customize-hook=${CUSTOMIZE}`,
    // Done by mmdebstrap's own process, which may write here also where the root belongs to another user namespace.
    `--customize-hook=copy-out /${ASIDE} '${folder.replaceAll("'", "'\\''")}'`,
    `--customize-hook=rm -rf "$1/${ASIDE}"`,
  ];
}

/**
 * Run by mmdebstrap's shell with the root as first argument, also where that root belongs to another user namespace. It leaves
 * `tmp` alone: there lies the configuration without which mmdebstrap's own apt would work on the apt of this machine.
 */
const CUSTOMIZE = `set -eu
cd "$1"
mkdir -p ${ASIDE}
mv boot/vmlinuz-* ${ASIDE}/vmlinuz
rm -rf boot/* vmlinuz vmlinuz.old initrd.img initrd.img.old
echo smartvm >etc/hostname
printf '127.0.0.1 localhost\\n127.0.1.1 smartvm\\n::1 localhost\\n' >etc/hosts
: >etc/machine-id
rm -f var/lib/dbus/machine-id etc/resolv.conf
: >etc/resolv.conf
chroot . passwd -q -d root
cat >etc/fstab <<'END'
${FSTAB}END
cat >etc/systemd/system/serial-getty@ttyS0.service <<'END'
${AUTOLOGIN_UNIT}END
mkdir -p etc/systemd/system/getty.target.wants etc/systemd/network etc/systemd/journald.conf.d
ln -sf /etc/systemd/system/serial-getty@ttyS0.service etc/systemd/system/getty.target.wants/serial-getty@ttyS0.service
ln -sf /lib/systemd/system/multi-user.target etc/systemd/system/default.target
ln -sf /dev/null etc/systemd/network/99-default.link
printf '[Journal]\\nStorage=volatile\\n' >etc/systemd/journald.conf.d/smartvm.conf
for unit in ${MASKED_UNITS.join(' ')}; do ln -sf /dev/null "etc/systemd/system/$unit"; done
: >etc/motd
rm -f etc/apt/sources.list etc/apt/sources.list.d/* etc/apt/trusted.gpg.d/* etc/apt/auth.conf.d/*
rm -f etc/.pwd.lock etc/passwd- etc/group- etc/shadow- etc/gshadow- etc/subuid- etc/subgid-
rm -rf var/lib/apt/lists/* var/cache/apt/*
rm -rf var/cache/debconf var/cache/ldconfig var/lib/systemd/* var/log/* var/tmp/* root/.[!.]*
rm -f var/lib/dpkg/*-old usr/lib/udev/hwdb.bin
mkdir -p var/log var/lib/systemd
`;
