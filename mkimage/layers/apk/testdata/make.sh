#!/usr/bin/env bash
# make.sh: makes the packages here with apk (apk-tools 3.0.6, APK=PATH), nfpm (2.45.2, NFPM=PATH) and
# openssl, as root, in a folder of its own.
set -euo pipefail
out=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
umask 022

openssl genrsa -out test.rsa 2048 2>/dev/null
openssl rsa -in test.rsa -pubout -out "$out/test.rsa.pub" 2>/dev/null
cp "$out/test.rsa.pub" test.rsa.pub

mkdir -p files/{etc,usr/bin,usr/share/doc/toy,var/lib/toy}
echo 'key = value' >files/etc/toy.conf
printf '#!/bin/sh\necho toy\n' >files/usr/bin/toy
ln files/usr/bin/toy files/usr/bin/toy2
ln -s toy files/usr/bin/toy3
: >files/usr/share/doc/toy/empty
head -c 20000 /dev/zero | tr '\0' x >files/usr/share/doc/toy/long
chmod 4755 files/usr/bin/toy
chmod 1777 files/var/lib/toy
chown 1:1 files/var/lib/toy # daemon
setfattr -n user.toy -v yes files/etc/toy.conf
find files -exec touch -h -d @1700000000 {} +
printf '#!/bin/sh\nexit 0\n' >post-install
printf '#!/bin/sh\nexit 1\n' >trigger

for compression in none deflate zstd; do
	"$APK" mkpkg --files files --output "$out/toy-3-$compression.apk" --compression $compression \
		--sign-key test.rsa --script post-install:post-install --script trigger:trigger \
		--trigger /usr/share/toy --info name:toy --info version:1.2-r3 --info arch:x86_64 \
		--info 'description:A toy' --info license:MIT --info origin:toys --info url:https://toys.example
done

cat >nfpm.yaml <<'EOF'
name: toy
arch: amd64
version: 1.2
release: 3
description: A toy
license: MIT
homepage: https://toys.example
maintainer: Toys <toys@toys.example>
mtime: 2023-11-14T22:13:20Z
scripts:
  postinstall: post-install
contents:
  - {src: files/etc/toy.conf, dst: /etc/toy.conf, type: config, file_info: {mode: 0644, mtime: 2023-11-14T22:13:20Z}}
  - {src: files/usr/bin/toy, dst: /usr/bin/toy, file_info: {mode: 04755, mtime: 2023-11-14T22:13:20Z}}
  - {src: toy, dst: /usr/bin/toy3, type: symlink, file_info: {mtime: 2023-11-14T22:13:20Z}}
  - {dst: /var/lib/toy, type: dir, file_info: {mode: 01777, owner: daemon, group: daemon, mtime: 2023-11-14T22:13:20Z}}
apk:
  signature: {key_file: test.rsa, key_name: test.rsa.pub}
EOF
"$NFPM" package --packager apk --config nfpm.yaml --target "$out/toy-2.apk"
