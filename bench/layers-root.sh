#!/usr/bin/env bash
# layers-root.sh FOLDER: image, kernel and initrds of examples/appliance, composed by deltaup without
# root, with what internal/test/boottest asks of a machine that it boots: initrd.img, and others that
# find disks by udev, volumes, or both. Packages come from the
# network, and are kept in the folder that DELTAUP_PACKAGES names, or in FOLDER. A folder that was
# made of the same files is kept.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:?usage: layers-root.sh FOLDER}
mkdir -p "$out"
out=$(cd "$out" && pwd)
tree=$out/tree
CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$out/deltaup" ./cmd/deltaup
made_of=$(cat "$out/deltaup" examples/appliance/* dist/systemd/*.* dist/settings.d/* "$0" | sha256sum)
[[ $(cat "$out/done" 2>/dev/null) != "$made_of" ]] || exit 0
rm -rf "$out/done" "$tree"

echo "layers-root.sh: composing $out" >&2
mkdir -p "$tree"/{data,etc/deltaup,usr/bin,usr/lib/deltaup,usr/lib/systemd/system}
cp "$out/deltaup" "$tree/usr/bin"
cp dist/systemd/*.service dist/systemd/*.timer "$tree/usr/lib/systemd/system"
cp -r dist/settings.d "$tree/usr/lib/deltaup"
cat > "$tree/etc/deltaup/deltaup.toml" <<'END'
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
# A machine without KVM may be slow to find its devices.
slow=15min
echo "UUID=0fc63daf-8483-4772-8e79-3d69d8477de4 /boot ext4 defaults,x-systemd.device-timeout=$slow 0 0" > "$tree/etc/fstab"
mkdir "$tree/usr/lib/systemd/system.conf.d"
printf '[Manager]\nDefaultTimeoutStartSec=%s\n' "$slow" > "$tree/usr/lib/systemd/system.conf.d/slow.conf"
cat > "$tree/usr/lib/systemd/system/life.service" <<'END'
[Unit]
Description=Report of the test
After=deltaup-mark-good.service nginx.service ssh.service multi-user.target
[Service]
Type=oneshot
ExecStart=/usr/bin/life
TimeoutStartSec=infinity
[Install]
WantedBy=graphical.target
END
cat > "$tree/usr/bin/life" <<'END'
#!/bin/sh
exec >/dev/console 2>&1
say() { echo "LIFE $*"; }
say "arguments: $(cat /proc/cmdline)"
say "root: $(findmnt -n -o FSTYPE,OPTIONS /)"
say "image: $(findmnt -n -o FSTYPE,SOURCE /run/deltaup/image)"
say "data: $(findmnt -n -o SOURCE /data)"
say "multi-user: $(systemctl is-active multi-user.target)"
say "boot-complete: $(systemctl is-active boot-complete.target)"
say "failed units: $(systemctl --failed --no-legend | wc -l)"
systemctl --failed --no-legend | sed 's/^/LIFE failed unit: /'
say "ssh: $(ssh-keyscan -T 60 -t ed25519 127.0.0.1 2>/dev/null | cut -d ' ' -f 2)"
say "keys: $(cd /etc/ssh && echo ssh_host_*_key)"
say "nginx: $(curl -s -m 60 http://127.0.0.1/ | grep -o '<title>.*</title>')"
say "modules: $(uname -r) $(grep -c . /proc/modules)"
deltaup status | sed 's/^/LIFE status: /'
say "seconds: $(cut -d ' ' -f 1 /proc/uptime)"
say done
END
chmod 755 "$tree/usr/bin/life"
cat > "$out/image.toml" <<END
include = ["$PWD/examples/appliance/image.toml"]
enable = ["deltaup-mark-good.service", "deltaup-notice.service", "life.service"]
[[layer]]
name = "machine"
folder = "tree"
owner = "0:0"
priority = 1
[[layer]]
name = "volumes"
packages = ["lvm2"]
END
flags=(--lock "$out/image.lock" --cache "${DELTAUP_PACKAGES:-$out/packages}")
rm -f "$out/image.lock"
"$out/deltaup" layers lock "${flags[@]}" "$out/image.toml"
bench/acknowledge.sh "$out/deltaup" "$out/image.toml" "${flags[@]}" > "$out/acks.toml"
sed -i "1s,\]$,\, \"$out/acks.toml\"]," "$out/image.toml"
"$out/deltaup" layers initrd "${flags[@]}" -o "$out/initrd.img" "$out/image.toml"
initrd() { # NAME SETTING...: another initrd of the same tree
  printf '%s\n' 'include = ["image.toml"]' '[initrd]' "${@:2}" > "$out/$1.toml"
  "$out/deltaup" layers initrd "${flags[@]}" -o "$out/$1.img" "$out/$1.toml"
}
initrd udev 'udev = true'
initrd lvm 'programs = ["lvm"]'
initrd udev-lvm 'udev = true' 'programs = ["lvm"]'
"$out/deltaup" layers kernel "${flags[@]}" -o "$out/vmlinuz" "$out/image.toml"
"$out/deltaup" mkimage --level fastest "${flags[@]}" -o "$out/image.squashfs" "$out/image.toml"
echo "$made_of" > "$out/done"
