#!/bin/bash
# shellcheck disable=SC2154 # moddir is dracut's
# The dracut module deltaup. It is to be in /usr/lib/dracut/modules.d/90deltaup, with deltaup.sh of
# the initramfs folder beside it.

# check: dracut --add deltaup, or add_dracutmodules+=" deltaup ".
check() {
	require_binaries mount umount losetup od dd tr sed tail readlink || return 1
	return 255
}

depends() {
	echo base rootfs-block
}

installkernel() {
	hostonly='' instmods loop squashfs overlay ext4 vfat nls_cp437 nls_ascii
}

install() {
	inst_multiple mount umount losetup od dd tr sed tail readlink mkdir ln sleep sync
	inst_simple "$moddir/deltaup.sh" /usr/lib/deltaup/deltaup.sh
	inst_hook cmdline 90 "$moddir/parse-deltaup.sh"
	inst_hook mount 90 "$moddir/mount-deltaup.sh"
}
