#!/usr/bin/env bash
# trace-price.sh [PAIR]: what a fresh trace costs an update. PAIR/v1.tar and PAIR/v2.tar are two
# releases; the first is laid out by a trace of its boot. The second is made
#
#   kept      with the same trace                        fresh     with one of its own boot, and --previous
#   anew      with that and without --previous
#
# and each is published behind the first and pulled over HTTP by a machine that has it. Printed are
# what was fetched, the processor time of the pull and what deltaup diff says of the order. Wanted:
# fresh fetches at most 5 % more than kept.
source "$(dirname "$0")/boot/lib.sh"
PAIR=${1:-${PAIR:-}}
[[ -n $PAIR ]] || unset PAIR
boot_pair
boot_setup "$pair/v1.tar"
server=
trap '[[ -z $server ]] || kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT

make_image "$work/plain.squashfs" "$pair/v1.tar"
record "$work/plain.squashfs" "$work/first.trace"
rm "$work/plain.squashfs"*
make_image "$work/v1.squashfs" "$pair/v1.tar" --trace "$work/first.trace"
make_image "$work/kept.squashfs" "$pair/v2.tar" --trace "$work/first.trace" --previous "$work/v1.squashfs.recipe"
boot_kernel "$pair/v2.tar"
record "$work/kept.squashfs" "$work/second.trace"
make_image "$work/fresh.squashfs" "$pair/v2.tar" --trace "$work/second.trace" --previous "$work/v1.squashfs.recipe"
make_image "$work/anew.squashfs" "$pair/v2.tar" --trace "$work/second.trace"
for name in first second; do echo "$name trace: $("$deltaup" trace show "$work/$name.trace" | tail -n 1)"; done

"$deltaup" publish --cache none --mirror "$work/first" --version 1 "$work/v1.squashfs" > /dev/null
"$deltaup" serve --listen 127.0.0.1:0 "$work" > "$work/serve.log" 2>&1 &
server=$!
for (( i = 0; i < 100; i++ )); do
  url=$(grep -oE 'http://[0-9.:]+' "$work/serve.log" | head -n 1) && break
  sleep 0.1
done

# field NAME: a figure of the last pull's result.
field() { sed -n "s/.*\"event\":\"result\".*\"$1\":\([0-9.]*\).*/\1/p" "$work/events"; }

printf '%-6s %14s %9s %9s %12s\n' order 'bytes fetched' more requests 'CPU seconds'
base=
TIMEFORMAT='%U %S'
for name in kept fresh anew; do
  rm -rf "$work/mirror"
  cp -r "$work/first" "$work/mirror"
  "$deltaup" publish --cache none --mirror "$work/mirror" --version 2 "$work/$name.squashfs" > /dev/null
  { time "$deltaup" pull "$url/mirror/" --insecure --seed "$work/v1.squashfs" --slot "$work/slot" --state "$work/state" --json > "$work/events" 2>"$work/pull.log"; } 2>"$work/time" ||
    { cat "$work/pull.log" >&2; exit 1; }
  cmp "$work/$name.squashfs" "$work/slot"
  rm -rf "$work/slot" "$work/state"
  bytes=$(field bytes_fetched)
  base=${base:-$bytes}
  printf '%-6s %14d %8.2f%% %9d %12.2f\n' $name "$bytes" "$(awk -v a="$bytes" -v b="$base" 'BEGIN { print (a / b - 1) * 100 }')" \
    "$(field requests)" "$(awk '{ print $1 + $2 }' "$work/time")"
done
for name in kept fresh anew; do
  echo "deltaup diff, $name:"
  "$deltaup" diff "$work/v1.squashfs" "$work/$name.squashfs" | grep -i order || echo "  nothing of the order"
done
