/**
 * What a guest kernel can be required to have built in, by the names people use, and the options of the kernel's
 * configuration that stand for it; all of them must be `y` (the kernels of Firecracker's CI have no modules).
 */
export const CAPABILITIES: Readonly<Record<string, readonly string[]>> = {
  '9p': ['NET_9P_VIRTIO', '9P_FS'],
  acpi: ['ACPI'],
  balloon: ['VIRTIO_BALLOON'],
  bpf: ['BPF_SYSCALL'],
  bridge: ['BRIDGE'],
  btrfs: ['BTRFS_FS'],
  cgroups: ['CGROUPS', 'MEMCG', 'CGROUP_PIDS'],
  'dm-crypt': ['DM_CRYPT'],
  'dm-verity': ['DM_VERITY'],
  entropy: ['HW_RANDOM_VIRTIO'],
  erofs: ['EROFS_FS'],
  ext4: ['EXT4_FS'],
  fuse: ['FUSE_FS'],
  hugepages: ['HUGETLBFS'],
  initrd: ['BLK_DEV_INITRD'],
  io_uring: ['IO_URING'],
  iptables: ['IP_NF_IPTABLES', 'IP_NF_FILTER'],
  ipv6: ['IPV6'],
  kvm: ['KVM'],
  landlock: ['SECURITY_LANDLOCK'],
  loop: ['BLK_DEV_LOOP'],
  modules: ['MODULES'],
  namespaces: ['NAMESPACES', 'USER_NS', 'PID_NS', 'NET_NS'],
  nbd: ['BLK_DEV_NBD'],
  nf_tables: ['NF_TABLES'],
  nfs: ['NFS_FS'],
  overlayfs: ['OVERLAY_FS'],
  pci: ['PCI'],
  pmem: ['VIRTIO_PMEM'],
  seccomp: ['SECCOMP_FILTER'],
  selinux: ['SECURITY_SELINUX'],
  serial: ['SERIAL_8250_CONSOLE'],
  squashfs: ['SQUASHFS'],
  'squashfs-zstd': ['SQUASHFS', 'SQUASHFS_ZSTD'],
  tun: ['TUN'],
  veth: ['VETH'],
  'virtio-blk': ['VIRTIO_BLK'],
  'virtio-fs': ['VIRTIO_FS'],
  'virtio-mmio': ['VIRTIO_MMIO'],
  'virtio-net': ['VIRTIO_NET'],
  'virtio-pci': ['VIRTIO_PCI'],
  vsock: ['VSOCKETS', 'VIRTIO_VSOCKETS'],
  wireguard: ['WIREGUARD'],
  xfs: ['XFS_FS'],
};

/** The options behind a name; an option may be named itself, as `CONFIG_…`. `undefined` for a name nobody knows. */
export function optionsOf(capability: string): readonly string[] | undefined {
  if (/^CONFIG_[A-Z0-9_]{1,80}$/i.test(capability)) return [capability.slice('CONFIG_'.length)];
  return Object.hasOwn(CAPABILITIES, capability) ? CAPABILITIES[capability] : undefined;
}

/**
 * Reads a kernel's configuration: names without `CONFIG_`, with their values as they are written; what is not set is left
 * out.
 */
export function parseKernelConfig(text: string): ReadonlyMap<string, string> {
  return new Map(
    [...text.matchAll(/^CONFIG_([A-Za-z0-9_]+)=(.*)$/gm)].map(([, name = '', value = '']) => [name, value.trim()]),
  );
}

/** Which of these a kernel lacks: each with the options that are not built in. */
export function lacking(
  config: ReadonlyMap<string, string>,
  capabilities: readonly string[],
): readonly { readonly capability: string; readonly options: readonly string[] }[] {
  return capabilities
    .map((capability) => ({
      capability,
      options: (optionsOf(capability) ?? []).filter((option) => config.get(option) !== 'y'),
    }))
    .filter(({ options }) => options.length > 0);
}
