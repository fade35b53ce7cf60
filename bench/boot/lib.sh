# lib.sh: what the scripts share that boot a root file system in QEMU (TCG, no KVM). To be sourced.
#
#   boot_setup [TAR]                          $work, $tar, $deltaup, $kernel, $work/initrd
#   boot_kernel TAR                           the same $kernel and $work/initrd of another root file system
#   boot IMAGE MODE NAME [DRIVE] [QEMU...]    a boot; the guest's report is NAME.report, its console NAME.console
#   record IMAGE TRACE [MODE]                 a boot that is recorded
#
# MODE is one of bench/boot/guest's, DRIVE are further options of the disk. TAR needs systemd and in
# boot/ a kernel of Debian; without it a pair of root file systems is made in tmp/boot-pair and
# kept.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
root=$PWD

boot_pair() {
  pair=${PAIR:-$root/tmp/boot-pair}
  [[ -s $pair/v1.tar && -s $pair/v2.tar ]] || EXTRA=linux-image-cloud-amd64,nginx-light bench/rootfs-pair.sh "$pair" >&2
}

boot_setup() {
  command -v qemu-system-x86_64 >/dev/null && command -v mksquashfs >/dev/null && command -v cpio >/dev/null || {
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends qemu-system-x86 squashfs-tools cpio >/dev/null
  }
  work=$(mktemp -d "${TMPDIR:-/tmp}/deltaup-boot.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  tar=${1:-}
  if [[ -z $tar ]]; then
    boot_pair
    tar=$pair/v1.tar
  fi
  tar=$(realpath "$tar")
  mkdir -p "$work/init/bin"
  CGO_ENABLED=0 go build -C bench -ldflags '-s -w' -o "$work/init/bin/guest" ./boot/guest
  CGO_ENABLED=0 go build -ldflags '-s -w' -o "$work/init/bin/deltaup" ./cmd/deltaup
  cp "$work/init/bin/guest" "$work/init/init"
  cp dist/systemd/deltaup-trace.service "$work/init/bin/"
  deltaup=$work/init/bin/deltaup
  boot_kernel "$tar"
}

# boot_kernel TAR: the kernel of a root file system, and an initrd for it.
boot_kernel() {
  rm -rf "$work/boot" "$work/init/modules"
  mkdir -p "$work/boot" "$work/init/modules"
  tar -C "$work/boot" -xf "$1" --wildcards './boot/vmlinuz-*' '*/kernel/fs/squashfs/squashfs.ko*' \
    '*/kernel/fs/overlayfs/overlay.ko*' '*/kernel/drivers/block/loop.ko*'
  local n=0 module file
  for module in squashfs overlay loop; do
    file=$(find "$work/boot" -name "$module.ko*" | head -n 1)
    case $file in *.xz) xz -dc "$file" ;; *.zst) zstd -dqc "$file" ;; *) cat "$file" ;; esac > "$work/init/modules/$((n++)).ko"
  done
  kernel=$(find "$work/boot" -name 'vmlinuz-*' | head -n 1)
  (cd "$work/init" && find . | cpio -o -H newc --quiet | gzip -1) > "$work/initrd"
}

boot() {
  local image=$1 mode=$2 name=$3 drive=${4:-}
  shift $(( $# < 4 ? $# : 4 ))
  local machine=(-accel tcg,thread=multi -smp 2)
  (( ! $# )) || machine=("$@")
  timeout 900 qemu-system-x86_64 "${machine[@]}" -cpu qemu64 -m 1024 -kernel "$kernel" -initrd "$work/initrd" \
    -append "console=ttyS0 panic=-1 no_timer_check bench.mode=$mode$([[ $mode != record ]] || echo " deltaup.trace")" -no-reboot -display none -monitor none -nic none \
    -drive "file=$image,if=none,id=d,format=raw,readonly=on$drive" -device nvme,drive=d,serial=bench \
    -serial "file:$name.console" -serial "file:$name.report"
  grep -q '^end' "$name.report" || {
    tail -n 20 "$name.console" >&2
    echo "$(basename "$0"): no report of $(basename "$name")" >&2
    exit 1
  }
}

record() {
  # One processor: see watchDisk in bench/boot/guest.
  boot "$1" "${3:-record}" "$work/recorded" "" -accel tcg -smp 1
  tr -d '\r' < "$work/recorded.report" | sed -n '/^deltaup-trace/,/^end [0-9]/p' > "$2"
}

# make_image IMAGE TAR [OPTIONS...]: mkimage, quietly.
make_image() {
  local image=$1 from=$2
  shift 2
  "$deltaup" mkimage -o "$image" --level "${LEVEL:-better}" --exclude 'boot/*' "$@" "$from" 2>"$work/mkimage.log" >&2 || {
    cat "$work/mkimage.log" >&2
    exit 1
  }
}
