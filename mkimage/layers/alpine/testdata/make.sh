#!/usr/bin/env bash
# make.sh: makes the repositories here: that of the second generation with nfpm (2.45.2, NFPM=PATH),
# apk (apk-tools 2.14.10, APK2=PATH) and openssl, that of the third with apk (3.0.6, APK3=PATH).
set -euo pipefail
out=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
umask 022
rm -rf "$out"/keys "$out"/2 "$out"/3
mkdir -p "$out"/keys "$out"/2/x86_64 "$out"/3/x86_64 keys

openssl genrsa -out test.rsa 2048 2>/dev/null
openssl rsa -in test.rsa -pubout -out "$out/keys/test.rsa.pub" 2>/dev/null
cp "$out/keys/test.rsa.pub" keys

# package NAME VERSION DEPENDS PROVIDES, the last two as lists with spaces
package() {
  local name=$1 version=$2 depends=$3 provides=$4
  rm -rf files && mkdir -p files/usr/share
  echo "$name $version" >"files/usr/share/$name"
  find files -exec touch -h -d @1700000000 {} +
  {
    echo "{name: $name, arch: amd64, version: $version, version_schema: none, description: a test,"
    echo " license: MIT, maintainer: T <t@toys.example>, mtime: 2023-11-14T22:13:20Z,"
    echo " depends: [$(quoted "$depends")], provides: [$(quoted "$provides")],"
    echo " contents: [{src: files/usr/share/$name, dst: /usr/share/$name,"
    echo "   file_info: {mode: 0644, mtime: 2023-11-14T22:13:20Z}}],"
    echo " apk: {signature: {key_file: test.rsa, key_name: test.rsa.pub}}}"
  } >nfpm.yaml
  "$NFPM" package --packager apk --config nfpm.yaml --target "$out/2/x86_64/$name-$version.apk"
  "$APK3" mkpkg --files files --output "$out/3/x86_64/$name-$version.apk" --sign-key test.rsa \
    --info "name:$name" --info "version:$version" --info arch:x86_64 --info license:MIT \
    --info 'description:a test' --info "depends:$depends" --info "provides:$provides"
}
quoted() { for word in $1; do printf '"%s", ' "$word"; done; }

package app 1.0-r0 'lib so:libc.so.1' ''
package lib 1.2-r1 '' ''
package lib 1.3-r0 '' ''
package libc 2-r0 '' 'so:libc.so.1=1'
package old 1-r0 'lib<1.3' ''

cd "$out/2/x86_64"
"$APK2" index --allow-untrusted --output "$work/index" ./*.apk
cd "$work"
openssl dgst -sha1 -sign test.rsa -out .SIGN.RSA.test.rsa.pub index # as abuild-sign
tar --format=ustar --owner=0 --group=0 --numeric-owner -cf - .SIGN.RSA.test.rsa.pub | head -c 1024 |
  gzip -9n >signature
cat signature index >"$out/2/x86_64/APKINDEX.tar.gz"
"$APK3" mkndx --keys-dir "$work/keys" --sign-key test.rsa --output "$out/3/x86_64/Packages.adb" \
  "$out"/3/x86_64/*.apk
