#!/bin/bash
# Makes the samples that the tests rewrite. They are committed: another compiler makes
# others, and the golden hashes are of these.
set -eu
cd "$(dirname "$0")"
flags="-O2 -fno-ident -fno-stack-protector -ffreestanding -fcf-protection=none"
here=$PWD # which BTF would hold
(cd / && gcc $flags -gbtf -c -x c -o "$here/module.o" -) <sample.c
gcc $flags -fPIE -static-pie -nostdlib -DPROGRAM -s sample.c -o pie -Wl,--build-id=none,-z,noseparate-code,--eh-frame-hdr
gcc $flags -fno-pie -no-pie -static -nostdlib -DPROGRAM sample.c -o fixed -Wl,--build-id=none,-z,noseparate-code,--eh-frame-hdr
gcc $flags -fPIC -shared -nostdlib sample.c -o library.so -Wl,--build-id=none,-z,noseparate-code,--eh-frame-hdr
for i in $(seq 300); do echo "line $i of $((i * 7919 % 613))"; done >text
gzip -9nc text >text.gz
xz -T1 -6 -c text >text.xz
xz -T2 --check=crc32 --lzma2=dict=1MiB -c module.o >module.o.xz # as Debian packs modules
xz -T1 --x86 --lzma2=preset=4,dict=1MiB -c pie >pie.xz
rm text
