#!/usr/bin/env bash
# Installs the Debian packages that building and booting images needs, as root or through sudo. Does nothing, and asks no network,
# when they are there.
set -euo pipefail

# util-linux brings flock and setpriv; procps, strace, cpio and iproute2 are for the tests.
packages=(ca-certificates mmdebstrap squashfs-tools qemu-system-x86 util-linux xz-utils zstd tar procps strace cpio iproute2)
if [ "$(uname -m)" = aarch64 ]; then packages=("${packages[@]/qemu-system-x86/qemu-system-arm}"); fi
if grep -q '^ID=ubuntu' /etc/os-release 2>/dev/null; then packages+=(debian-archive-keyring); fi
# Without root, mmdebstrap works in a user namespace and needs the ranges of /etc/subuid.
if [ "$(id -u)" != 0 ]; then packages+=(uidmap); fi

command -v dpkg-query >/dev/null || {
  echo "smartvm: this is not a Debian or Ubuntu; install what matches: ${packages[*]}" >&2
  exit 1
}

missing=()
for package in "${packages[@]}"; do
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

echo "installing ${missing[*]}" >&2
as_root=()
if [ "$(id -u)" != 0 ]; then
  command -v sudo >/dev/null || {
    echo "smartvm: run this as root: apt-get install ${missing[*]}" >&2
    exit 1
  }
  as_root=(sudo)
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
quietly() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive "$@" >>"$log" 2>&1 || { cat "$log" >&2; exit 1; }; }
quietly apt-get update -q
quietly apt-get install -yq --no-install-recommends "${missing[@]}"
