#!/usr/bin/env bash
# demo.sh: the main job on real input, start to end, in a scratch folder that it removes.
# Set PAIR to a folder with v1.tar and v2.tar to use those.
set -euo pipefail
cd "$(dirname "$0")/.."
deltaup=$PWD/bin/deltaup
work=$(mktemp -d "${TMPDIR:-/tmp}/deltaup-demo.XXXXXX")
server=
trap '[[ -z $server ]] || kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT

say() { printf '\n== %s\n' "$*"; }
run() { printf '$ %s\n' "${*/#$deltaup/deltaup}"; "$@"; }

pair=${PAIR:-$work/pair}
if [[ ! -f $pair/v1.tar || ! -f $pair/v2.tar ]]; then
  say "two real root file systems (a few minutes the first time)"
  bench/rootfs-pair.sh "$pair"
fi
cd "$work"

say "two images, from their tars"
for v in v1 v2; do
  run "$deltaup" mkimage -o $v.squashfs --level better --exclude 'boot/*' "$pair/$v.tar"
done

say "a mirror with two releases, signed"
echo "correct horse battery staple" > passphrase
run "$deltaup" keys init --keys keys --mirror mirror --passphrase-file passphrase
run "$deltaup" publish --mirror mirror --keys keys --passphrase-file passphrase --version 1 v1.squashfs
run "$deltaup" publish --mirror mirror --keys keys --passphrase-file passphrase --version 2 v2.squashfs

say "served over HTTP, pulled by a machine that runs the first"
"$deltaup" serve --listen 127.0.0.1:0 mirror > serve.log 2>&1 &
server=$!
for _ in $(seq 100); do
  url=$(grep -oE 'http://[0-9.:]+' serve.log | head -n 1) && break
  sleep 0.1
done
[[ -n ${url:-} ]] || { cat serve.log >&2; exit 1; }
run "$deltaup" pull "$url" --seed v1.squashfs --slot slot-b --root keys/root.json --state state-dry --dry-run
run "$deltaup" pull "$url" --seed v1.squashfs --slot slot-b --root keys/root.json --state state --json > pull.json
run cmp v2.squashfs slot-b

say "what it cost"
tail -n 1 pull.json
whole=$(stat -c %s v2.squashfs)
fetched=$(sed -n 's/.*"event":"result".*"bytes_fetched":\([0-9]*\).*/\1/p' pull.json)
[[ -n $fetched ]] || { echo "demo.sh: pull told no result" >&2; exit 1; }
awk -v f="$fetched" -v w="$whole" 'BEGIN { printf "fetched %.1f MB instead of the whole image of %.1f MB (%.0f %%); the slot equals the published image\n", f/1e6, w/1e6, 100*f/w }'
