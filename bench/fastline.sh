#!/usr/bin/env bash
# fastline.sh DIR [LEVEL]: pulls DIR/v2.tar (boot/ left out) with DIR/v1.tar as seed over lines of the
# bench's relay, and prints for each what was quoted and what it took: with the line as it is
# measured, and as it is told; then the same ("kept") on a machine that keeps the recipe of v1 from
# an earlier update. On the fastest one desync extracts the same image from chunks over HTTP, with
# the same seed. nginx is on the far side. WORK=FOLDER keeps images and mirror there for the next
# run. LINES_="1mbit/50ms/1% ..." takes other lines. Needs root, iproute2, nginx and bin/deltaup;
# without desync (in PATH, or as DESYNC=FILE) its part is left out.
set -euo pipefail
pair=$(realpath "${1:?usage: fastline.sh DIR [LEVEL]}")
level=${2:-better}
lines=${LINES_:-1mbit/50ms 10mbit/50ms 100mbit/20ms 1gbit/5ms}
desync=${DESYNC:-$(command -v desync || true)}
cd "$(dirname "$0")/.."
deltaup=${DELTAUP:-$PWD/bin/deltaup}
tmp=$(mktemp -d)
work=${WORK:-$tmp/work}
mkdir -p "$work"
${GO:-go} build -C bench -o "$tmp/bench" ./cmd/deltaup-bench
port=$((20000 + $$ % 10000))
cleanup() {
  [[ ! -s $tmp/nginx.pid ]] || kill "$(cat "$tmp/nginx.pid")"
  rm -rf "$tmp"
}
trap cleanup EXIT
chmod 755 "$tmp" "$work"

for v in 1 2; do
  [[ -e $work/$level-v$v.squashfs ]] && continue
  "$deltaup" mkimage -o "$work/$level-v$v.squashfs" --level "$level" --exclude 'boot/*' "$pair/v$v.tar" 2>/dev/null
  "$deltaup" publish --cache none --mirror "$work/mirror-$level" --version $v "$work/$level-v$v.squashfs" >/dev/null
done
old=$work/$level-v1.squashfs new=$work/$level-v2.squashfs
if [[ -n $desync && ! -e $work/$level-v2.caibx ]]; then
  mkdir -p "$work/store-$level"
  for v in 1 2; do "$desync" make -s "$work/store-$level" "$work/$level-v$v.caibx" "$work/$level-v$v.squashfs" >/dev/null 2>&1; done
fi
ln -s "$work/mirror-$level" "$tmp/mirror"
ln -s "$work/store-$level" "$tmp/store"

cat > "$tmp/nginx.conf" <<NGINX
pid $tmp/nginx.pid;
error_log $tmp/error.log;
events {}
http {
  access_log off; sendfile on;
  client_body_temp_path $tmp/t1; proxy_temp_path $tmp/t2; fastcgi_temp_path $tmp/t3;
  uwsgi_temp_path $tmp/t4; scgi_temp_path $tmp/t5;
  server { listen $port; root $tmp; }
}
NGINX
export PATH=$PATH:/usr/sbin:/sbin
nginx -p "$tmp" -c "$tmp/nginx.conf"

# field EVENT NAME: a number or word of an event of the last pull.
field() { grep "\"event\":\"$1\"" "$tmp/events" | sed -n "s/.*\"$2\":\"\{0,1\}\([^,\"}]*\).*/\1/p" | head -1; }

# over COMMAND [ARGUMENT...]: runs a command over the line, with @ for the server; took has the
# seconds. The server's congestion control is the machine's.
over() {
  # shellcheck disable=SC2016 # for the inner shell
  TIMES=$tmp/times "$tmp/bench" -over "$l" sh -c 'for a; do
      shift
      case $a in http://@*) a=http://$LINE_SERVER${a#http://@} ;; esac
      set -- "$@" "$a"
    done
    begin=$(date +%s.%N)
    "$@" || exit
    echo "$begin $(date +%s.%N)" > "$TIMES"' sh "$@"
  took=$(awk '{ print $2 - $1 }' "$tmp/times")
}

# pull WHAT FLAG...
pull() {
  local what=$1
  shift
  rm -rf "$tmp/slot" "$tmp/state"
  [[ $what != *kept ]] || cp -a "$tmp/kept" "$tmp/state"
  over "$deltaup" pull "http://@:$port/mirror/" --insecure --seed "$old" --slot "$tmp/slot" --state "$tmp/state" --json "$@" > "$tmp/events"
  cmp "$new" "$tmp/slot"
  awk -v line="$rate $rtt" -v what="$what" -v route="$(field quote route)" -v quote="$(field quote seconds)" \
    -v took="$(field result seconds)" -v bytes="$(field result bytes_fetched)" -v all="$took" 'BEGIN {
      printf "%-14s %-13s %-7s %11d bytes  quote %6.2f s  real %6.2f s  %+5.0f %%  command %6.2f s\n",
        line, what, route, bytes, quote, took, (quote / took - 1) * 100, all }'
}

"$deltaup" plan "$work/mirror-$level" --insecure --version 1 --optimize bytes --seed "$old" --state "$tmp/kept" >/dev/null

for l in $lines; do
  rate=${l%%/*} rtt=${l#*/}
  rtt=${rtt%%/*}
  for kept in "" " kept"; do
    pull "measured$kept"
    pull "told$kept" --bandwidth "$rate" --rtt "$rtt"
  done
done
if [[ -z $desync ]]; then
  echo "desync: skipped, it is not installed"
  exit
fi
rm -f "$tmp/out"
over "$desync" extract -s "http://@:$port/store/" --seed "$work/$level-v1.caibx:$old" "$work/$level-v2.caibx" "$tmp/out" >/dev/null 2>&1
cmp "$new" "$tmp/out"
awk "BEGIN { printf \"%-14s desync extract: command %.2f s\n\", \"$rate $rtt\", $took }"
