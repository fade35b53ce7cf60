#!/usr/bin/env bash
# boot.sh [TAR]: boots one root file system with systemd in QEMU (TCG) from slow disks, laid out in
# several ways, and tells for each what the disk had to do until the boot was complete:
#
#   path      mkimage without a trace          msqfs     mksquashfs zstd-15
#   trace     mkimage --trace                  loop      the same, mounted by a loop device
#   prefetch  the same, with deltaup trace prefetch begun in the initramfs
#
# A table, figures and pictures go to OUT (bench/results/boot). "added" is the seconds that the slow
# disk adds to the same image's boot from a free one: emulation makes the processor slow. Settings,
# all in the environment:
#
#   ROUNDS=3      boots of each, interleaved           DISKS="free hdd emmc"
#   KEEP=DIR      what the machines wrote, for `go run -C bench ./boot/report KEEP OUT`
#   PAIR=DIR      folder with v1.tar, see bench/boot/lib.sh
source "$(dirname "$0")/boot/lib.sh"
declare -A throttle=([free]= [hdd]=,throttling.iops-total=120,throttling.bps-total=20000000 [emmc]=,throttling.iops-total=1500,throttling.bps-total=40000000)
declare -A image=([path]=path [msqfs]=msqfs [trace]=trace [loop]=trace [prefetch]=trace)
declare -A mode=([path]=plain [msqfs]=plain [trace]=plain [loop]=loop [prefetch]=prefetch)

out=$(realpath -m "${OUT:-bench/results/boot}")
boot_setup "${1:-}"
keep=$(realpath -m "${KEEP:-$work/reports}")
mkdir -p "$keep"

make_image "$work/path.squashfs" "$tar"
record "$work/path.squashfs" "$keep/boot.trace" pages
make_image "$work/trace.squashfs" "$tar" --trace "$keep/boot.trace"
tar --delete --wildcards -f - './boot/*' < "$tar" |
  mksquashfs - "$work/msqfs.squashfs" -tar -comp zstd -Xcompression-level 15 -quiet -no-progress 2>"$work/mksquashfs.log"
for name in path trace msqfs; do
  echo "$name: $("$deltaup" trace show --image "$work/$name.squashfs" "$keep/boot.trace" | tail -n 1)" >&2
done

for (( round = 1; round <= ${ROUNDS:-3}; round++ )); do
  for disk in ${DISKS:-free hdd emmc}; do
    for way in path msqfs trace loop prefetch; do
      boot "$work/${image[$way]}.squashfs" "${mode[$way]}" "$keep/$way.$disk.$round" "${throttle[$disk]}"
    done
  done
  echo "boot.sh: round $round is over, load $(cut -d ' ' -f 1 /proc/loadavg)" >&2
done
go run -C bench ./boot/report "$(realpath "$keep")" "$(realpath -m "$out")"
