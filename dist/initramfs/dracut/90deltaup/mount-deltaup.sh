#!/bin/sh
# Mounts the slot that the kernel arguments name.
# shellcheck disable=SC2154 # root and NEWROOT are dracut's
if [ "$root" = deltaup ] && ! ismounted "$NEWROOT"; then
	# shellcheck source=dist/initramfs/deltaup.sh
	. /usr/lib/deltaup/deltaup.sh
	deltaup_mount_root "$NEWROOT"
fi
