#!/usr/bin/env bash
# rootfs-pair.sh DIR: two real root file systems, DIR/v1.tar and DIR/v2.tar.
#
# On Debian as root they are a small system before and after its security updates, made by
# mmdebstrap (installed when it is missing) from apt's own sources. EXTRA=PACKAGE,... adds to it.
# Elsewhere they are parts of this machine's own files, the second with more of them.
set -euo pipefail
dir=${1:?usage: rootfs-pair.sh DIR}
mkdir -p "$dir"

debian_pair() {
  [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null || return 1
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq || return 1
  command -v mmdebstrap >/dev/null ||
    apt-get install -y -qq --no-install-recommends mmdebstrap >/dev/null || return 1
  local suite main security
  suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
  main=$(source_of "$suite") security=$(source_of "$suite-security")
  [[ -n $main && -n $security ]] || return 1
  rootfs v1.tar 1760000000 "$suite" "deb $main $suite main" &&
    rootfs v2.tar 1763000000 "$suite" "deb $main $suite main" \
      "deb $main $suite-updates main" "deb $security $suite-security main"
}

# source_of CODENAME: where apt gets that suite from.
source_of() {
  apt-get indextargets --format '$(CODENAME) $(REPO_URI)' |
    awk -v name="$1" '$1 == name { sub(/\/$/, "", $2); print $2; exit }'
}

# rootfs NAME EPOCH SUITE SOURCE...
rootfs() {
  local out=$dir/$1 epoch=$2 suite=$3
  shift 3
  SOURCE_DATE_EPOCH=$epoch mmdebstrap --quiet --mode=root --variant=minbase \
    --include="systemd-sysv,udev,dbus,iproute2,ca-certificates,openssl,less,openssh-server,python3-minimal${EXTRA:+,$EXTRA}" \
    "$suite" "$out" "$@"
}

# machine_pair takes what every Unix has; unreadable files are left out.
machine_pair() {
  local old=() new=()
  for path in etc usr/bin usr/sbin; do [[ -d /$path ]] && old+=("$path"); done
  new=("${old[@]}")
  for path in usr/libexec usr/share/perl usr/share/misc usr/share/doc/git; do [[ -d /$path ]] && new+=("$path"); done
  archive v1.tar "${old[@]}"
  archive v2.tar "${new[@]}"
}

# archive NAME PATH...: GNU tar says 1 when a file was unreadable, which is fine here.
archive() {
  local out=$dir/$1
  shift
  tar -C / --numeric-owner --ignore-failed-read --warning=no-failed-read -cf "$out" "$@" || (( $? == 1 ))
}

if ! debian_pair; then
  echo "rootfs-pair.sh: no mmdebstrap here; taking this machine's own files" >&2
  machine_pair
fi
