#!/usr/bin/env bash
# large.sh DIR [PACKAGE...]: a pair of large real files, DIR/large/v1.tar and v2.tar, and what an
# update of them takes, as bench/steps.sh prints it. v1 has each PACKAGE in the oldest version that
# apt knows, v2 in the newest; a package with one version is skipped. From libllvm14 to libllvm15
# the file's name changes, too. Files below 4 MiB are left out. BASE=FOLDER takes the trees
# FOLDER/v1.tar and v2.tar for the rest of the system. LEVELS, ROUTES and WORK are those of
# steps.sh. A pull must stay below 131,072 KiB, a publication below 2,048 MiB: the last line says
# whether all did. Needs apt-get, and what steps.sh needs.
set -euo pipefail
dir=${1:?usage: large.sh DIR [PACKAGE...]}
mkdir -p "$dir/large"
dir=$(realpath "$dir")
shift
packages=("$@")
(( ${#packages[@]} )) || packages=(chromium libwebkit2gtk-4.0-37 containerd libnode108 mariadb-server-core postgresql-15
  qemu-system-x86 libclamav12 libreoffice-calc php8.2-cli linux-image-6.1.0-55-amd64:linux-image-6.1.0-56-amd64 libllvm14:libllvm15)
cd "$(dirname "$0")"
here=$PWD

# fetch PACKAGE[=VERSION] FOLDER: unpacks it there.
fetch() {
  local tmp
  tmp=$(mktemp -d)
  (cd "$tmp" && apt-get download -qq "$1" >/dev/null 2>&1 && dpkg-deb -x ./*.deb "$2") || { rm -rf "$tmp"; return 1; }
  rm -rf "$tmp"
}

if [[ ! -s $dir/large/v2.tar ]]; then
  tree=$(mktemp -d)
  trap 'rm -rf "$tree"' EXIT
  mkdir "$tree/1" "$tree/2"
  for p in "${packages[@]}"; do
    old=${p%:*} new=${p#*:}
    if [[ $old == "$new" ]]; then
      mapfile -t versions < <(apt-cache madison "$p" | grep -v Sources | awk -F' *[|] *' '{ print $2 }' | sort -u)
      if (( ${#versions[@]} < 2 )); then
        echo "large.sh: $p: skipped, apt knows ${#versions[@]} version(s) of it" >&2
        continue
      fi
      old=$p=${versions[0]} new=$p=${versions[-1]}
      if dpkg --compare-versions "${versions[0]}" gt "${versions[-1]}"; then old=$p=${versions[-1]} new=$p=${versions[0]}; fi
    fi
    fetch "$old" "$tree/1" && fetch "$new" "$tree/2" || echo "large.sh: $p: skipped, it cannot be had" >&2
  done
  for v in 1 2; do
    [[ -z ${BASE:-} ]] || cp "$BASE/v$v.tar" "$dir/large/v$v.tar.tmp"
    (cd "$tree/$v" && find . -type f -size +4M ! -path './boot/*' | sort) |
      tar -rf "$dir/large/v$v.tar.tmp" -C "$tree/$v" --owner=0 --group=0 --mtime=@1760000000 --transform 's,^\./,./opt/,' -T -
    mv "$dir/large/v$v.tar.tmp" "$dir/large/v$v.tar"
  done
fi
"$here/steps.sh" "$dir" large | awk '
  { print }
  $1 == "large" { if ($NF + 0 > pulled) pulled = $NF; if ($(NF - 3) + 0 > published) published = $(NF - 3); n++ }
  END { printf "%d pulls, at most %d KiB (131072); publications at most %d MiB (2048)\n", n, pulled, published
    exit !(n > 0 && pulled <= 131072 && published < 2048) }'
