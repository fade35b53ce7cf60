#!/usr/bin/env bash
# tools.sh [--check|--peers]: installs the foreign tools that the tests compare deltaup with.
# --check only tells (exit status) whether all are there; --peers installs what the bench runs.
set -euo pipefail

declare -A package=(
  [mksquashfs]=squashfs-tools [unsquashfs]=squashfs-tools
  [sqfs2tar]=squashfs-tools-ng [rdsquashfs]=squashfs-tools-ng
  [nginx]=nginx-light [tinyproxy]=tinyproxy [xz]=xz-utils [zstd]=zstd
  [bsdtar]=libarchive-tools [setfattr]=attr [qemu-aarch64]=qemu-user [tar]=tar
  [grub-editenv]=grub-common [grub-script-check]=grub-common
  [cpio]=cpio [bsdcpio]=libarchive-tools [unmkinitramfs]=initramfs-tools-core
  [lz4]=lz4 [depmod]=kmod [openssl]=openssl [strace]=strace [gzip]=gzip [python3]=python3 [objdump]=binutils
  [chromium]=chromium [time]=time [busybox]=busybox [mkfs.vfat]=dosfstools
  [systemd-analyze]=systemd [shellcheck]=shellcheck [mke2fs]=e2fsprogs [losetup]=mount [unshare]=util-linux
  [zsh]=zsh [fish]=fish [systemctl]=systemd [systemd-hwdb]=udev [journalctl]=systemd [ldconfig]=libc-bin
  [dpkg-deb]=dpkg [dpkg-query]=dpkg [umoci]=umoci [skopeo]=skopeo
  [update-mime-database]=shared-mime-info [update-desktop-database]=desktop-file-utils
  [glib-compile-schemas]=libglib2.0-bin [gtk-update-icon-cache]=gtk-update-icon-cache
  [fc-cache]=fontconfig [ip]=iproute2 [ping]=iputils-ping
)

declare -A peers=(
  [casync]=casync [zsync]=zsync [rdiff]=rdiff [xdelta3]=xdelta3 [bsdiff]=bsdiff [zstd]=zstd [rsync]=rsync
  [ostree]=ostree [curl]=curl [nginx]=nginx-light [time]=time [ip]=iproute2 [sqfs2tar]=squashfs-tools-ng [tar]=tar
  [ping]=iputils-ping [iperf3]=iperf3
)
if [[ ${1:-} == --peers ]]; then
  package=()
  for tool in "${!peers[@]}"; do package[$tool]=${peers[$tool]}; done
fi

PATH=$PATH:/usr/sbin:/sbin
missing=()
for tool in "${!package[@]}"; do
  type -P "$tool" >/dev/null || missing+=("${package[$tool]}")
done
(( ${#missing[@]} )) || exit 0
[[ ${1:-} != --check ]] || exit 1

if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
  echo "tools.sh: not installed, and only root on Debian can: ${missing[*]}; what needs them is skipped" >&2
  exit 0
fi
echo "tools.sh: installing ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
