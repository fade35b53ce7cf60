#!/usr/bin/env bash
# steps.sh DIR [PAIR...]: what updates cost, a line for each of the pairs DIR/PAIR/v1.tar and
# v2.tar: the bytes that nginx sent (headers, metadata, all), requests, and what publishing and
# pulling took. boot/ is left out, but the initrds of the pair security are published, too, and its
# kernels, for two more lines each: with the old one and without. Slots are compared with what was published.
# LEVELS="better best" takes other levels (default better), ROUTES="patch chunks" other routes
# (default: the fewest bytes). WORK=FOLDER keeps images and mirrors there for the next run, which
# then has no figures of publishing. Needs bin/deltaup, nginx and GNU time.
set -euo pipefail
dir=$(realpath "${1:?usage: steps.sh DIR [PAIR...]}")
shift
pairs=("$@")
if (( ! ${#pairs[@]} )); then
  for pair in security touch grow major; do [[ ! -s $dir/$pair/v2.tar ]] || pairs+=("$pair"); done
fi
(( ${#pairs[@]} )) || { echo "steps.sh: no pair in $dir" >&2; exit 1; }
cd "$(dirname "$0")/.."
deltaup=${DELTAUP:-$PWD/bin/deltaup}
PATH=$PATH:/usr/sbin
tmp=$(mktemp -d)
work=${WORK:-$tmp/work}
mkdir -p "$work"
trap '[[ ! -s $tmp/nginx.pid ]] || kill "$(cat "$tmp/nginx.pid")"; rm -rf "$tmp"' EXIT
chmod 755 "$tmp" "$work"

# timed FILE COMMAND...: FILE gets seconds, seconds of CPU and KiB of memory at the peak.
timed() {
  local file=$1
  shift
  /usr/bin/time -o "$file" -f '%e %U %S %M' "$@" >"$tmp/out" 2>&1 || { cat "$tmp/out" >&2; exit 1; }
  awk '{ print $1, $2 + $3, $4 }' "$file" > "$file.sum" && mv "$file.sum" "$file"
}

declare -A boot=([initrd]=initrd.img [kernel]=vmlinuz)

# unpack PAIR VERSION ARTIFACT: the newest initrd or kernel of a tar, as a file.
unpack() {
  local name
  name=$(tar -tf "$dir/$1/v$2.tar" | grep -E "^(\./)?boot/${boot[$3]}-" | sort -V | tail -1) || return 1
  tar -xOf "$dir/$1/v$2.tar" "$name" > "$work/$1-$3$2"
}

# prepare PAIR LEVEL: images and mirror. Initrds and kernels are in mirrors of their own, for their
# release files are longer.
prepare() {
  local base=$work/$1-$2 v
  for v in 1 2; do
    [[ -e $base-v$v.squashfs ]] ||
      "$deltaup" mkimage -o "$base-v$v.squashfs" --level "$2" --exclude 'boot/*' "$dir/$1/v$v.tar" >/dev/null 2>&1
    [[ -e $base-mirror/releases/$v.json ]] ||
      timed "$base-published" "$deltaup" publish --cache none --mirror "$base-mirror" --version $v "$base-v$v.squashfs"
  done
}

# prepare_beside PAIR LEVEL ARTIFACT
prepare_beside() {
  local base=$work/$1-$2 v
  for v in 1 2; do
    [[ -s $work/$1-$3$v ]] || unpack "$1" $v "$3" || { rm -f "$work/$1-$3$v"; return 1; }
    [[ -e $base-$3-mirror/releases/$v.json ]] ||
      timed "$base-$3-published" "$deltaup" publish --cache none --mirror "$base-$3-mirror" --version $v "--$3" "$work/$1-$3$v" "$base-v$v.squashfs"
  done
}

serve() {
  cat > "$tmp/nginx.conf" <<NGINX
pid $tmp/nginx.pid;
error_log $tmp/error.log;
events {}
http {
  log_format sent '\$bytes_sent';
  access_log $tmp/access.log sent;
  client_body_temp_path $tmp/t1; proxy_temp_path $tmp/t2; fastcgi_temp_path $tmp/t3;
  uwsgi_temp_path $tmp/t4; scgi_temp_path $tmp/t5;
  server { listen 127.0.0.1:$port; root $work; }
}
NGINX
  nginx -p "$tmp" -c "$tmp/nginx.conf"
}
port=$(( 20000 + $$ % 20000 ))
serve

# pull LABEL PAIR LEVEL MIRROR FLAG...: one line of the table.
pull() {
  local label=$1 base=$work/$2-$3 mirror=$4 published
  shift 4
  rm -rf "$tmp/slot" "$tmp/state"
  : > "$tmp/access.log"
  timed "$tmp/pulled" "$deltaup" pull "http://127.0.0.1:$port/${mirror##*/}/" --insecure --seed "$base-v1.squashfs" \
    --slot "$tmp/slot" --state "$tmp/state" "$@"
  cmp "$base-v2.squashfs" "$tmp/slot"
  sleep 0.2 # nginx logs after it has answered
  published=$(cat "${mirror%mirror}published" 2>/dev/null || echo - - -)
  awk -v label="$label" -v published="$published" -v pulled="$(cat "$tmp/pulled")" '
    { bytes += $1; n++ }
    END { split(published, p, " "); split(pulled, q, " ")
      printf "%-34s %11d %8d  %8s %8s %7s  %7s %7s %9d\n", label, bytes, n, p[1], p[2], p[3] == "-" ? "-" : int(p[3] / 1024), q[1], q[2], q[3] }' "$tmp/access.log"
}

printf '%-34s %11s %8s  %8s %8s %7s  %7s %7s %9s\n' '' '' '' publish '' '' pull '' '' \
  step bytes requests seconds CPU MiB seconds CPU KiB
for pair in "${pairs[@]}"; do
  for level in ${LEVELS:-better}; do
    prepare "$pair" "$level"
    for route in ${ROUTES:-bytes}; do
      how=(--optimize bytes)
      [[ $route == bytes ]] || how=(--route "$route")
      pull "$pair $level $route" "$pair" "$level" "$work/$pair-$level-mirror" "${how[@]}"
    done
    [[ $pair == security && -z ${ROUTES:-} ]] || continue
    for beside in initrd kernel; do
      prepare_beside "$pair" "$level" $beside || continue
      with=$work/$pair-$level-$beside-mirror
      # What the old release's target has is the initrd that was made anew.
      "$deltaup" pull "http://127.0.0.1:$port/${with##*/}/" --quiet --insecure --version 1 --seed "$work/$pair-$level-v1.squashfs" \
        --slot "$tmp/slot" --state "$tmp/state" --artifact "$beside=$tmp/$beside"
      pull "$pair $level + $beside" "$pair" "$level" "$with" --optimize bytes --artifact "$beside=$tmp/$beside"
      [[ $beside != kernel ]] || cmp "$work/$pair-kernel2" "$tmp/kernel"
      rm -f "$tmp/$beside"
      pull "$pair $level + $beside, no old one" "$pair" "$level" "$with" --optimize bytes --artifact "$beside=$tmp/$beside"
    done
  done
done
