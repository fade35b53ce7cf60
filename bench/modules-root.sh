#!/usr/bin/env bash
# modules-root.sh FILE: Debian 13's kernel with its compressed modules, udev and kmod, as a tar: by
# mmdebstrap, from the mirror that apt knows. No script of a package has run in it. Needs root; a
# FILE that was made of the same packages is kept.
set -euo pipefail
out=${1:?usage: modules-root.sh FILE}
suite=trixie
packages=udev,kmod,linux-image-cloud-amd64

export DEBIAN_FRONTEND=noninteractive
made_of="$suite $packages"
[[ ! -e $out || $(cat "$out.packages" 2>/dev/null) != "$made_of" ]] || exit 0

echo "modules-root.sh: making $out (a minute the first time)" >&2
apt-get update -qq
command -v mmdebstrap >/dev/null || apt-get install -y -qq --no-install-recommends mmdebstrap >/dev/null
host=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
source=$(apt-get indextargets --format '$(CODENAME) $(REPO_URI)' |
  awk -v name="$host" '$1 == name { sub(/\/$/, "", $2); print $2; exit }')
[[ -n $source ]] || { echo "modules-root.sh: apt has no source of $host" >&2; exit 1; }

mkdir -p "$(dirname "$out")"
rm -f "$out" "$out.packages" "$out.new.tar"
mmdebstrap --quiet --mode=root --variant=extract --include='?essential' --include="$packages" \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
  "$suite" "$out.new.tar" "deb $source $suite main"
mv "$out.new.tar" "$out"
echo "$made_of" > "$out.packages"
