#!/usr/bin/env bash
# mkimage.sh TAR [RUNS]: deltaup mkimage beside mksquashfs zstd-15, in turn, on the same
# cores and the same tar. Prints the median time as a ratio, the image's size as a ratio,
# and the largest peak memory. Needs bin/deltaup, squashfs-tools and GNU time.
set -euo pipefail
tar=$(realpath "${1:?usage: mkimage.sh TAR [RUNS]}")
runs=${2:-3}
cd "$(dirname "$0")/.."
deltaup=$PWD/bin/deltaup
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# timed NAME COMMAND...: appends "seconds KiB" to NAME.times.
timed() {
  local name=$1
  shift
  /usr/bin/time -a -o "$name.times" -f '%e %M' "$@" >/dev/null 2>"$name.err" || { cat "$name.err" >&2; exit 1; }
}
median() { sort -n "$1.times" | awk '{ t[NR] = $1 } END { print t[int((NR + 1) / 2)] }'; }
peak() { awk '$2 > m { m = $2 } END { printf "%.0f", m / 1024 }' "$1.times"; }

cat "$tar" > /dev/null # both read it from the page cache
for (( i = 0; i < runs; i++ )); do
  rm -f ./*.squashfs
  timed peer sh -c 'exec mksquashfs - peer.squashfs -tar -comp zstd -Xcompression-level 15 -quiet -no-progress < "$1"' sh "$tar"
  for level in best better default fastest; do
    timed $level "$deltaup" mkimage -o $level.squashfs --level $level "$tar"
  done
done

base=$(median peer) size=$(stat -c %s peer.squashfs)
printf '%-22s %8s %7s %12s %7s %9s\n' '' seconds ratio bytes ratio 'peak MiB'
printf '%-22s %8.1f %7s %12d %7s %9s\n' 'mksquashfs zstd-15' "$base" 1 "$size" 1 "$(peak peer)"
for level in best better default fastest; do
  bytes=$(stat -c %s $level.squashfs)
  awk -v l="deltaup $level" -v t="$(median $level)" -v b="$base" -v n="$bytes" -v s="$size" -v m="$(peak $level)" \
    'BEGIN { printf "%-22s %8.1f %7.2f %12d %7.3f %9d\n", l, t, t/b, n, n/s, m }'
done
