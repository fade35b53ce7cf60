#!/usr/bin/env bash
# test-boot.sh [go test's arguments]: proves counted boot with real GRUB and Linux in QEMU (TCG, no
# KVM). Installs what it needs; the kernel is Debian's for clouds, unpacked below tmp/ and not
# installed. Three Debians to boot lie there, too, from the first run on; only root can make the
# first two.
set -euo pipefail
cd "$(dirname "$0")/.."

bench/need.sh qemu-system-x86 ovmf grub-common grub-pc-bin grub-efi-amd64-bin mtools dosfstools e2fsprogs

kernel=$PWD/tmp/boot-kernel
if [[ ! -e $kernel/done ]]; then
  echo "test-boot.sh: fetching a kernel" >&2
  rm -rf "$kernel" && mkdir -p "$kernel"
  apt-get update -qq
  image=$(apt-cache depends linux-image-cloud-amd64 | awk '$1 == "Depends:" && $2 ~ /^linux-image-/ && !n++ { print $2 }')
  (cd "$kernel" && apt-get download -qq "$image" 2>/dev/null && dpkg-deb -x ./*.deb . && rm ./*.deb)
  touch "$kernel/done"
fi

if [[ $(id -u) == 0 ]]; then
  export DELTAUP_TEST_ROOT=$PWD/tmp/boot-root.tar
  bench/boot-root.sh "$DELTAUP_TEST_ROOT"
  export DELTAUP_TEST_MODULES=$PWD/tmp/modules-root.tar
  bench/modules-root.sh "$DELTAUP_TEST_MODULES"
else
  echo "test-boot.sh: not root: only the composed Debian is booted" >&2
fi
export DELTAUP_TEST_LAYERS=$PWD/tmp/layers-root
bench/layers-root.sh "$DELTAUP_TEST_LAYERS"

# Scenes that went well are many: only failures, summaries and durations are shown.
DELTAUP_TEST_BOOT=$kernel go test -count=1 -timeout 60m -parallel 2 -v "$@" ./internal/test/boottest |
  { grep --line-buffered -Ev '^(=== |        --- PASS: TestTable)' || true; }
