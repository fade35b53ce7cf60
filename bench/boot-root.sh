#!/usr/bin/env bash
# boot-root.sh FILE: a small Debian with systemd, and with what makes an initrd, as a tar: by
# mmdebstrap, from apt's own sources. Needs root; a FILE that was made of the same packages is kept.
# There is no kernel in it.
set -euo pipefail
out=${1:?usage: boot-root.sh FILE}
packages=systemd-sysv,udev,kmod,lvm2,zstd,initramfs-tools
# dracut-core may not be installed beside initramfs-tools: it is unpacked, and its dependencies are
# installed.
packages+=,cpio,e2fsprogs
apart=dracut-core

export DEBIAN_FRONTEND=noninteractive
suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
made_of="$suite $packages $apart"
[[ ! -e $out || $(cat "$out.packages" 2>/dev/null) != "$made_of" ]] || exit 0

echo "boot-root.sh: making $out (a minute or two the first time)" >&2
apt-get update -qq
command -v mmdebstrap >/dev/null || apt-get install -y -qq --no-install-recommends mmdebstrap >/dev/null
source=$(apt-get indextargets --format '$(CODENAME) $(REPO_URI)' |
  awk -v name="$suite" '$1 == name { sub(/\/$/, "", $2); print $2; exit }')
[[ -n $source ]] || { echo "boot-root.sh: apt has no source of $suite" >&2; exit 1; }

mkdir -p "$(dirname "$out")"
rm -f "$out" "$out.packages" "$out.new.tar"
mmdebstrap --quiet --mode=root --variant=essential --include="$packages" \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
  --customize-hook="cd \"\$1/tmp\" && apt-get download -qq $apart && dpkg-deb --fsys-tarfile ./$apart*.deb | tar -x --keep-directory-symlink -C \"\$1\" && rm ./$apart*.deb" \
  "$suite" "$out.new.tar" "deb $source $suite main"
mv "$out.new.tar" "$out"
echo "$made_of" > "$out.packages"
