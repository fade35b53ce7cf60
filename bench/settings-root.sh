#!/usr/bin/env bash
# settings-root.sh FOLDER: two versions of a Debian whose settings outlive an image, composed by
# deltaup without root: v1.squashfs, v2.squashfs, and kernel and initrd of both. They have the tools
# that doc/settings.md tells of, and the scripts in internal/test/boottest/testdata/settings. Packages
# come from the network, and are kept in the folder that DELTAUP_PACKAGES names, or in FOLDER. A
# folder that was made of the same files is kept.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:?usage: settings-root.sh FOLDER}
mkdir -p "$out"
out=$(cd "$out" && pwd)
scripts=$PWD/internal/test/boottest/testdata/settings
export CGO_ENABLED=0
go build -trimpath -ldflags '-s -w' -o "$out/deltaup" ./cmd/deltaup
make -s target TARGET="$out/deltaup-target"
made_of=$(cat "$out/deltaup" "$out/deltaup-target" examples/appliance/* dist/settings.d/* "$scripts"/* "$0" | sha256sum)
[[ $(cat "$out/done" 2>/dev/null) != "$made_of" ]] || exit 0
rm -f "$out/done"

echo "settings-root.sh: composing $out" >&2
cat > "$out/deltaup.toml" <<'END'
state = "/boot/deltaup/state"
[boot]
grubenv = "/boot/deltaup/grubenv"
[[slot]]
name = "a"
path = "/dev/nvme0n1p3"
boot = "/boot/deltaup/a"
image = "/dev/nvme0n1p3"
[[slot]]
name = "b"
path = "/data/b.squashfs"
boot = "/boot/deltaup/b"
image = "LABEL=kept:/b.squashfs"
END

for version in 1 2; do
  tree=$out/tree$version
  rm -rf "$tree"
  mkdir -p "$tree"/usr/{bin,lib/life,lib/deltaup/settings.d,lib/systemd/system,lib/systemd/system.conf.d}
  mkdir -p "$tree"/etc/app/{folder,gone}
  install -m 755 "$scripts/life" "$scripts/append" "$tree/usr/bin"
  install -m 644 "$scripts/boots" "$scripts/tools" "$tree/usr/lib/life"
  install -m 644 "$scripts"/*.service "$tree/usr/lib/systemd/system"
  install -m 644 "$scripts/settings.conf" "$tree/usr/lib/deltaup/settings.d/05-test.conf"
  echo $version > "$tree/usr/lib/release"
  # A machine without KVM may be slow to find its devices.
  printf '[Manager]\nDefaultTimeoutStartSec=15min\n' > "$tree/usr/lib/systemd/system.conf.d/slow.conf"
  for name in local over removed mode owner short written rewritten folder/in gone/in; do
    printf '%s of the image\n' "$name" > "$tree/etc/app/$name.conf"
  done
done
# Version 2 has other defaults: one in a file that nobody else changes, one beside what the machine
# changes, one in the same line.
printf 'new 1\n' > "$out/tree1/etc/app/new.conf"
printf 'new 2\n' > "$out/tree2/etc/app/new.conf"
printf 'first\nmiddle 1\nmiddle 2\nlast\n' > "$out/tree1/etc/app/lines.conf"
printf 'first of version 2\nmiddle 1\nmiddle 2\nlast\n' > "$out/tree2/etc/app/lines.conf"
printf 'first\nsecond\n' > "$out/tree1/etc/app/both.conf"
printf 'first\nsecond of version 2\n' > "$out/tree2/etc/app/both.conf"

cat > "$out/machine.toml" <<END
include = ["$PWD/examples/appliance/debian-12.toml"]
architecture = "amd64"
time = 1763000000
enable = ["life.service", "ssh-host-keys.service"]

[rules]
dpkg = "whole"

[deltaup]
program = "deltaup-target"
config = "deltaup.toml"

[[layer]]
name = "debian"
packages = [
  "?essential", "?priority(required)", "apt", "systemd-sysv", "udev", "dbus", "iproute2",
  "ca-certificates", "openssl", "openssh-server", "vim-tiny", "nano", "sudo", "passwd", "chrony",
  "cron", "network-manager", "locales", "debconf", "adduser", "linux-image-cloud-amd64", "perl",
]

[[user]]
name = "spare"
uid = 150
[[group]]
name = "sparegroup"
gid = 151

# A machine without KVM may be slow to find its devices.
[[file]]
path = "/etc/fstab"
text = "UUID=0fc63daf-8483-4772-8e79-3d69d8477de4 /boot ext4 defaults,x-systemd.device-timeout=15min 0 0\n"

[[file]]
path = "/usr/lib/systemd/system/ssh-host-keys.service"
text = """
[Unit]
Description=Keys of the SSH host
ConditionPathExists=!/etc/ssh/ssh_host_ed25519_key
Before=ssh.service

[Service]
Type=oneshot
ExecStart=/usr/bin/ssh-keygen -A

[Install]
RequiredBy=ssh.service
"""

[[package]]
name = "cron"
file = [{ path = "/usr/bin/crontab", attributes = true, owner = "root:crontab", mode = "2755" }]

[[package]]
name = "cron-daemon-common"
group = [{ name = "crontab", gid = 108 }]
file = [{ path = "/var/spool/cron/crontabs", attributes = true, owner = "root:crontab", mode = "1730" }]
enable = ["cron.service"]

[[package]]
name = "network-manager"
group = [{ name = "netdev", gid = 109 }]
file = [{ path = "/var/lib/NetworkManager", attributes = true, mode = "0700" }]
enable = ["NetworkManager.service"]

[[package]]
name = "polkitd"
user = [{ name = "polkitd", uid = 996, gid = 996, gecos = "polkit" }]
file = [
  { path = "/etc/polkit-1/rules.d", attributes = true, owner = "polkitd:root", mode = "0700" },
  { path = "/usr/share/polkit-1/rules.d", attributes = true, owner = "polkitd:root", mode = "0700" },
  { path = "/var/lib/polkit-1", attributes = true, owner = "polkitd:root", mode = "0700" },
  { path = "/usr/lib/polkit-1/polkit-agent-helper-1", attributes = true, mode = "4755" },
]
group = [{ name = "polkitd", gid = 996 }]

[[package]]
name = "locales"
file = [{ path = "/etc/locale.gen", text = "# de_DE.UTF-8 UTF-8\n# en_US.UTF-8 UTF-8\n" }]
END
cat > "$out/v1.toml" <<'END'
include = ["machine.toml"]
[[layer]]
name = "machine"
folder = "tree1"
owner = "0:0"
priority = 1
END
# What version 2 has in place of version 1: other defaults of files that the machine changes, too,
# and a new account of the system.
cat > "$out/v2.toml" <<'END'
include = ["machine.toml"]
[[layer]]
name = "machine"
folder = "tree2"
owner = "0:0"
priority = 1
[[user]]
name = "newdaemon"
uid = 140
gid = 140
gecos = "Came with version 2"
home = "/nonexistent"
[[group]]
name = "newdaemon"
gid = 140
END

flags=(--lock "$out/image.lock" --cache "${DELTAUP_PACKAGES:-$out/packages}")
rm -f "$out/image.lock"
"$out/deltaup" layers lock "${flags[@]}" "$out/v1.toml"
bench/acknowledge.sh "$out/deltaup" "$out/v1.toml" "${flags[@]}" > "$out/acks.toml"
sed -i "1s,\]$,\, \"$out/acks.toml\"]," "$out/machine.toml"
"$out/deltaup" layers initrd "${flags[@]}" -o "$out/initrd.img" "$out/v1.toml"
"$out/deltaup" layers kernel "${flags[@]}" -o "$out/vmlinuz" "$out/v1.toml"
for version in 1 2; do
  "$out/deltaup" mkimage --level fastest "${flags[@]}" --exclude 'boot/*' --exclude 'usr/share/locale' \
    --exclude 'usr/share/man' --exclude 'usr/share/doc' -o "$out/v$version.squashfs" "$out/v$version.toml"
done
echo "$made_of" > "$out/done"
