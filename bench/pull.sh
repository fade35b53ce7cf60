#!/usr/bin/env bash
# pull.sh DIR [LEVEL]: publishes DIR/v1.tar and DIR/v2.tar (boot/ left out) and pulls the
# second with the first as seed through nginx. Prints what nginx sent (headers and all,
# from its log), the requests, and the peak memory and CPU of the pull.
# Needs bin/deltaup, nginx and GNU time.
set -euo pipefail
pair=$(realpath "${1:?usage: pull.sh DIR [LEVEL]}")
level=${2:-best}
cd "$(dirname "$0")/.."
deltaup=$PWD/bin/deltaup
work=$(mktemp -d)
trap '[[ ! -s $work/nginx.pid ]] || kill "$(cat "$work/nginx.pid")"; rm -rf "$work"' EXIT
chmod 755 "$work"
cd "$work"

for v in 1 2; do
  "$deltaup" mkimage -o v$v.squashfs --level "$level" --exclude 'boot/*' "$pair/v$v.tar" 2>/dev/null
  /usr/bin/time -f "publish v$v: %e s, peak %M KiB" "$deltaup" publish --mirror mirror --version $v v$v.squashfs
done

port=$(( 20000 + RANDOM % 20000 ))
cat > nginx.conf <<NGINX
pid $work/nginx.pid;
error_log $work/error.log;
events {}
http {
  log_format bytes '\$bytes_sent \$request';
  access_log $work/access.log bytes;
  client_body_temp_path $work/t1; proxy_temp_path $work/t2; fastcgi_temp_path $work/t3;
  uwsgi_temp_path $work/t4; scgi_temp_path $work/t5;
  server { listen 127.0.0.1:$port; root $work/mirror; }
}
NGINX
PATH=$PATH:/usr/sbin nginx -p "$work" -c "$work/nginx.conf"
url=http://127.0.0.1:$port/

"$deltaup" pull "$url" --seed v1.squashfs --slot slot --state quote --dry-run
mv access.log quote.log && kill -USR1 "$(cat nginx.pid)" && sleep 0.5
/usr/bin/time -f 'pull: %e s, %U s user, %S s system, peak %M KiB' \
  "$deltaup" pull "$url" --seed v1.squashfs --slot slot --state state
cmp v2.squashfs slot
awk '{ n += $1 } END { printf "server sent %d bytes (%.2f MB) in %d requests\n", n, n/1e6, NR }' access.log
printf 'whole image: %d bytes; stored recipe: %s bytes\n' "$(stat -c %s v2.squashfs)" \
  "$(awk '/recipe/ { print $1 }' access.log)"
