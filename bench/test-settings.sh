#!/usr/bin/env bash
# test-settings.sh [go test's arguments]: proves that settings outlive power cuts, updates and
# fallbacks: CUTS (500) cuts of the recorded writes of a machine's disk, and a Debian in QEMU (TCG, no
# KVM) through eight boots of two images. Installs what it needs. Needs root.
set -euo pipefail
cd "$(dirname "$0")/.."
[[ $(id -u) == 0 ]] || { echo "test-settings.sh: needs root" >&2; exit 1; }

bench/need.sh qemu-system-x86 qemu-system-common grub-common grub-pc-bin mtools e2fsprogs fuse3 passwd

go test -count=1 -timeout 60m -v ./internal/test/settingstest -cuts "${CUTS:-500}" -bench .

export DELTAUP_TEST_SETTINGS=$PWD/tmp/settings-root
bench/settings-root.sh "$DELTAUP_TEST_SETTINGS"
DELTAUP_TEST_BOOT=$DELTAUP_TEST_SETTINGS go test -count=1 -timeout 90m -v -run '^TestSettings$' "$@" ./internal/test/boottest
