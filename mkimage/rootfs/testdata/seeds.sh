#!/bin/sh
# seeds.sh: makes the archives here, seeds of FuzzFromTar, with GNU tar and bsdtar:
# two sparse files in a row (of more pieces than fit one header, and of one), a file, a
# hard link and a symbolic link.
set -eu
out=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
cd "$work"
mkdir d
truncate -s 60000 s1 s2
for piece in 0 8192 16384 24576 32768; do
  printf data | dd of=s1 bs=1 seek=$piece conv=notrunc status=none
done
printf data | dd of=s2 bs=1 seek=9000 conv=notrunc status=none
echo x >d/f
ln d/f d/g
ln -s f d/l
touch -h -d '2020-01-01 UTC' d/* s1 s2 d

set -- --owner=0 --group=0 --numeric-owner --sort=name --sparse --hole-detection=raw -b1 s1 s2 d
for version in 0.0 0.1 1.0; do
  tar --format=posix --sparse-version=$version -cf "$out/sparse-$version.tar" "$@"
done
tar --format=oldgnu -cf "$out/sparse-oldgnu.tar" "$@"
bsdtar --format=pax --numeric-owner --uid 0 --gid 0 -cf "$out/bsdtar.tar" s2 d
