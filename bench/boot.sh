#!/usr/bin/env bash
# boot.sh [TAR]: boots one root file system with systemd in QEMU (TCG) from slow disks, laid out in
# several ways, and prints for each what the disk had to do until the boot was complete:
#
#   path      mkimage without a trace          msqfs     mksquashfs zstd-15
#   trace     mkimage --trace                  loop      the same, mounted by a loop device
#   prefetch  the same, with deltaup trace prefetch in the initramfs
#
# TAR needs systemd and a kernel of Debian in boot/; without it bench/rootfs-pair.sh makes one.
# DISKS="free hdd emmc" ROUNDS=3 KEEP=DIR (for reports and pictures) say more. "added" is the seconds that the
# slow disk adds to the same image's boot from a free one: emulation makes the processor slow.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
declare -A throttle=([free]= [hdd]=,throttling.iops-total=120,throttling.bps-total=20000000 [emmc]=,throttling.iops-total=1500,throttling.bps-total=40000000)
declare -A image=([path]=path [msqfs]=msqfs [trace]=trace [loop]=trace [prefetch]=trace)
declare -A mode=([path]=plain [msqfs]=plain [trace]=plain [loop]=loop [prefetch]=prefetch)

command -v qemu-system-x86_64 >/dev/null || { apt-get update -qq; apt-get install -y -qq --no-install-recommends qemu-system-x86 squashfs-tools cpio >/dev/null; }
work=$(mktemp -d "${TMPDIR:-/tmp}/deltaup-boot.XXXXXX")
trap 'rm -rf "$work"' EXIT
tar=${1:-}
if [[ -z $tar ]]; then
  bench/rootfs-pair.sh "$work/pair"
  tar=$work/pair/v1.tar
fi
tar=$(realpath "$tar")
out=${KEEP:-$work/out}
mkdir -p "$out" "$work/init/bin" "$work/init/modules" "$work/boot"

CGO_ENABLED=0 go build -ldflags '-s -w' -o "$work/init/bin/guest" ./bench/boot/guest
CGO_ENABLED=0 go build -ldflags '-s -w' -o "$work/init/bin/deltaup" ./cmd/deltaup
cp "$work/init/bin/guest" "$work/init/init"
deltaup=$work/init/bin/deltaup
cd "$work"
tar -C boot -xf "$tar" --wildcards './boot/vmlinuz-*' '*/kernel/fs/squashfs/squashfs.ko*' '*/kernel/fs/overlayfs/overlay.ko*' '*/kernel/drivers/block/loop.ko*'
n=0
for module in squashfs overlay loop; do
  file=$(find boot -name "$module.ko*" | head -n 1)
  case $file in *.xz) xz -dc "$file" ;; *.zst) zstd -dqc "$file" ;; *) cat "$file" ;; esac > init/modules/$((n++)).ko
done
kernel=$(find boot -name 'vmlinuz-*' | head -n 1)
(cd init && find . | cpio -o -H newc --quiet | gzip -1) > initrd

# boot WAY DISK ROUND [MODE]
boot() {
  local name=$out/$1.$2.$3
  timeout 300 qemu-system-x86_64 -accel tcg,thread=multi -cpu qemu64 -smp 2 -m 1024 -kernel "$kernel" -initrd initrd \
    -append "console=ttyS0 panic=-1 bench.mode=${4:-${mode[$1]}}" -no-reboot -display none -monitor none -nic none \
    -drive "file=${image[$1]}.squashfs,if=none,id=d,format=raw,readonly=on${throttle[$2]}" -device nvme,drive=d,serial=bench \
    -serial "file:$name.console" -serial "file:$name.report"
  grep -q '^end' "$name.report" || { tail -n 20 "$name.console" >&2; echo "boot.sh: $1 on $2: no report" >&2; exit 1; }
}

"$deltaup" mkimage -o path.squashfs --level better --exclude 'boot/*' "$tar" 2>/dev/null
boot path free record record
tr -d '\r' < "$out/path.free.record.report" | sed -n '/^deltaup-trace/,/^end [0-9]/p' > boot.trace
rm "$out/path.free.record.report"
"$deltaup" mkimage -o trace.squashfs --level better --exclude 'boot/*' --trace boot.trace "$tar" 2>/dev/null
tar --delete --wildcards -f - './boot/*' < "$tar" | mksquashfs - msqfs.squashfs -tar -comp zstd -Xcompression-level 15 -quiet -no-progress
cp boot.trace "$out/"
for name in path trace msqfs; do
  echo "$name: $("$deltaup" trace show --image $name.squashfs boot.trace | tail -n 1)"
done

for (( round = 1; round <= ${ROUNDS:-3}; round++ )); do
  for disk in ${DISKS:-free hdd emmc}; do
    for way in path msqfs trace loop prefetch; do
      boot "$way" "$disk" "$round"
    done
  done
done
cd "$root"
go run ./bench/boot/report "$out"
