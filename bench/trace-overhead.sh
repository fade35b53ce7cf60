#!/usr/bin/env bash
# trace-overhead.sh [TAR]: what recording costs a boot. The same image boots in QEMU without a
# recorder, with one (as the kernel argument deltaup.trace starts it: in the initramfs, then as a
# unit) and with one that records pages too, interleaved, until the boot is complete.
#
# The machine counts instructions (-icount, one processor): its clock runs by what the guest
# executes, whatever else this computer does, so its processor time can be compared, which under
# emulation otherwise it cannot. The overhead is what all tasks together run longer. ROUNDS=5 and
# PAIR=DIR (bench/boot/lib.sh) say more.
source "$(dirname "$0")/boot/lib.sh"
boot_setup "${1:-}"
make_image "$work/image.squashfs" "$tar"
for (( round = 1; round <= ${ROUNDS:-5}; round++ )); do
  for mode in plain record pages; do
    boot "$work/image.squashfs" "$mode" "$work/$mode.$round" "" -icount shift=1,sleep=on -accel tcg,thread=single -smp 1
    tr -d '\r' < "$work/$mode.$round.report" > "$work/$mode.$round.txt"
  done
  echo "trace-overhead.sh: round $round is over" >&2
done

# values MODE WORD: the figure behind WORD in each report, ascending.
values() { sed -n "s/^$2 \([0-9.]*\)\$/\1/p" "$work/$1".*.txt | sort -n; }
median() { values "$1" "$2" | awk '{ v[NR] = $1 } END { print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'; }
printf '%-8s %6s %12s %9s %12s %9s %8s %6s %10s\n' way boots 'CPU seconds' spread overhead seconds files lost 'memory KB'
base=$(median plain cpu)
for mode in plain record pages; do
  files=- lost=- memory=-
  if [[ $mode != plain ]]; then
    files=$(( $(values $mode end | tail -n 1) - 2 )) lost=$(values $mode lost | tail -n 1) memory=$(values $mode memory | tail -n 1)
  fi
  printf '%-8s %6d %12.3f %8.2f%% %11.2f%% %9.2f %8s %6s %10s\n' $mode "$(values $mode cpu | wc -l)" "$(median $mode cpu)" \
    "$(values $mode cpu | awk -v base="$base" 'NR == 1 { least = $1 } END { print ($1 - least) / base * 100 }')" \
    "$(awk -v a="$(median $mode cpu)" -v b="$base" 'BEGIN { print (a - b) / b * 100 }')" "$(median $mode seconds)" "$files" "$lost" "$memory"
done
