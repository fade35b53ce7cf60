#!/usr/bin/env bash
# life.sh ROOT.tar: one whole life of a real Debian in QEMU, in about 5 minutes. ROOT.tar is a root file system with systemd,
# initramfs-tools and Debian's kernel for clouds. Needs root, and what test-boot.sh installs. One is made by:
#   mmdebstrap --variant=apt --include=systemd-sysv,udev,dbus,kmod,initramfs-tools,linux-image-cloud-amd64 bookworm ROOT.tar
set -euo pipefail
cd "$(dirname "$0")/.."
tar=$(realpath "${1:?a root file system as a tar}")
tree=$(mktemp -d)
trap 'umount "$tree/proc" 2>/dev/null || true; rm -rf "$tree"' EXIT

tar -xf "$tar" -C "$tree" --numeric-owner
install -d "$tree/usr/lib/deltaup"
cp -r dist/initramfs "$tree/usr/lib/deltaup/"
install dist/initramfs/initramfs-tools/hooks/deltaup "$tree/etc/initramfs-tools/hooks/"
install -m 644 dist/systemd/*.service dist/systemd/*.timer "$tree/usr/lib/systemd/system/"
CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$tree/usr/bin/deltaup" ./cmd/deltaup

kernel=$(basename "$(echo "$tree"/lib/modules/*)")
mount -t proc proc "$tree/proc"
chroot "$tree" mkinitramfs -o /boot/initrd.img "$kernel"
umount "$tree/proc"
mv "$tree/boot/vmlinuz-$kernel" "$tree/boot/vmlinuz"
DELTAUP_TEST_SYSTEM=$tree bench/test-boot.sh -run TestSystem
