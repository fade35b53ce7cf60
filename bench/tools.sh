#!/usr/bin/env bash
# tools.sh [--check]: installs the foreign tools that the tests compare deltaup with.
# --check only tells (exit status) whether all are there.
set -euo pipefail

declare -A package=(
  [mksquashfs]=squashfs-tools [unsquashfs]=squashfs-tools
  [sqfs2tar]=squashfs-tools-ng [rdsquashfs]=squashfs-tools-ng
  [nginx]=nginx-light [xz]=xz-utils [zstd]=zstd
  [bsdtar]=libarchive-tools [setfattr]=attr [qemu-aarch64]=qemu-user [tar]=tar
  [cpio]=cpio [bsdcpio]=libarchive-tools [unmkinitramfs]=initramfs-tools-core
  [lz4]=lz4 [strace]=strace [gzip]=gzip [python3]=python3 [objdump]=binutils
)

PATH=$PATH:/usr/sbin:/sbin
missing=()
for tool in "${!package[@]}"; do
  command -v "$tool" >/dev/null || missing+=("${package[$tool]}")
done
(( ${#missing[@]} )) || exit 0
[[ ${1:-} != --check ]] || exit 1

if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
  echo "tools.sh: not installed, and only root on Debian can: ${missing[*]}; the tests that need them are skipped" >&2
  exit 0
fi
echo "tools.sh: installing ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
