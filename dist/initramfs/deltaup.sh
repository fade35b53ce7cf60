# shellcheck shell=sh
# deltaup.sh: mounts the root file system of a slot. It is read by the initramfs of initramfs-tools and of dracut, which then
# call deltaup_mount_root; see doc/initramfs.md for the kernel arguments and for what is mounted where.

: "${DELTAUP_CMDLINE:=/proc/cmdline}" # these are for tests
: "${DELTAUP_RUN:=/run/deltaup}"
: "${DELTAUP_REBOOT:=deltaup_reboot}"
: "${DELTAUP_WAIT:=30}" # seconds that a device has to appear

# deltaup_arg NAME prints the value of a kernel argument; the last one counts. It fails when there is none.
deltaup_arg() {
	deltaup_found=1
	read -r deltaup_line <"$DELTAUP_CMDLINE" || [ -n "$deltaup_line" ] || return 1
	for deltaup_word in $deltaup_line; do
		case $deltaup_word in
		"$1") deltaup_value='' deltaup_found=0 ;;
		"$1"=*) deltaup_value=${deltaup_word#*=} deltaup_found=0 ;;
		esac
	done
	[ $deltaup_found = 0 ] && echo "$deltaup_value"
	return $deltaup_found
}

# deltaup_say tells people on the console, and whoever reads the kernel's log after the fallback. Under systemd, as in
# dracut, only the kernel's log reaches the console: with "quiet" what has level 3 (error) or less.
deltaup_say() {
	echo "deltaup: $*" >&2
	[ ! -w /dev/kmsg ] || echo "<${deltaup_level:-6}>deltaup: $*" >/dev/kmsg
}

# deltaup_fail ends the boot: GRUB counts it and falls back. A shell would wait for ever for somebody to come.
deltaup_fail() {
	deltaup_level=3
	deltaup_say "slot ${deltaup_slot:-unknown} cannot boot: $*"
	deltaup_say "restarting in 10 seconds"
	$DELTAUP_REBOOT
}

deltaup_reboot() {
	sleep 10
	sync
	reboot -f
	echo b >/proc/sysrq-trigger
	sleep 60
	exit 1
}

# deltaup_device SPEC prints the device that SPEC names, once it is there.
deltaup_device() {
	case $1 in
	LABEL=*) deltaup_path=/dev/disk/by-label/${1#*=} ;;
	UUID=*) deltaup_path=/dev/disk/by-uuid/${1#*=} ;;
	PARTLABEL=*) deltaup_path=/dev/disk/by-partlabel/${1#*=} ;;
	PARTUUID=*) deltaup_path=/dev/disk/by-partuuid/${1#*=} ;;
	*) deltaup_path=$1 ;;
	esac
	deltaup_left=$DELTAUP_WAIT
	until [ -b "$deltaup_path" ]; do
		[ "$deltaup_left" -gt 0 ] || return 1
		deltaup_left=$((deltaup_left - 1))
		sleep 1
	done
	readlink -f "$deltaup_path"
}

# deltaup_data mounts the data partition, when there is one.
deltaup_data() {
	deltaup_data_spec=$(deltaup_arg deltaup.data) || return 0
	deltaup_data_device=$(deltaup_device "$deltaup_data_spec") || {
		deltaup_fail "the data partition $deltaup_data_spec did not appear"
		return 1
	}
	mkdir -p "$DELTAUP_RUN/data"
	mount "$deltaup_data_device" "$DELTAUP_RUN/data" || {
		deltaup_fail "the data partition $deltaup_data_spec cannot be mounted"
		return 1
	}
}

# deltaup_find finds the slot's image: deltaup_image is a device or a file then.
deltaup_find() {
	deltaup_spec=$(deltaup_arg deltaup.image) || {
		deltaup_fail "the kernel argument deltaup.image= is missing; deltaup boot setup writes it"
		return 1
	}
	deltaup_image=$(deltaup_device "${deltaup_spec%%:*}") || {
		deltaup_fail "the device ${deltaup_spec%%:*} did not appear"
		return 1
	}
	case $deltaup_spec in
	*:*) ;;
	*) return 0 ;;
	esac
	deltaup_disk=$DELTAUP_RUN/disk
	if [ "$deltaup_image" = "${deltaup_data_device:-}" ]; then
		deltaup_disk=$DELTAUP_RUN/data
	else
		mkdir -p "$deltaup_disk"
		mount "$deltaup_image" "$deltaup_disk" || {
			deltaup_fail "the device ${deltaup_spec%%:*}, which holds the slot, cannot be mounted"
			return 1
		}
	fi
	deltaup_image=$deltaup_disk${deltaup_spec#*:}
	[ -f "$deltaup_image" ] || {
		deltaup_fail "there is no file ${deltaup_spec#*:} on ${deltaup_spec%%:*}"
		return 1
	}
}

# deltaup_size prints how many bytes the image has: its superblock says where the last table ends.
deltaup_size() {
	deltaup_used=$(od -A n -t u8 -j 40 -N 8 "$1") || return 1
	echo $(((deltaup_used + 4095) / 4096 * 4096))
}

# deltaup_to_ram copies the image into memory.
deltaup_to_ram() {
	deltaup_bytes=$(deltaup_size "$deltaup_image") || {
		deltaup_fail "$deltaup_spec cannot be read"
		return 1
	}
	deltaup_ram=$DELTAUP_RUN/ram
	mkdir -p "$deltaup_ram"
	mount -t tmpfs -o "size=$((deltaup_bytes + 65536)),mode=0755" deltaup-ram "$deltaup_ram" || {
		deltaup_fail "no memory for an image of $deltaup_bytes bytes"
		return 1
	}
	dd if="$deltaup_image" of="$deltaup_ram/$deltaup_slot.squashfs" bs=4096 count=$((deltaup_bytes / 4096)) 2>/dev/null || {
		deltaup_fail "the image of $deltaup_bytes bytes cannot be copied into memory"
		return 1
	}
	deltaup_image=$deltaup_ram/$deltaup_slot.squashfs
	[ "${deltaup_disk:-}" != "$DELTAUP_RUN/disk" ] || umount "$deltaup_disk"
}

# deltaup_prefetch SOURCE reads what a boot needs of the image into the page cache: its tables, then the data that lead
# it, which end where the trailer says. At most half of the free memory is filled. doc/trace.md has the reasons.
deltaup_prefetch() {
	while read -r deltaup_name deltaup_kib deltaup_word; do
		[ "$deltaup_name" != MemFree: ] || break
	done </proc/meminfo
	# In steps of 508 KiB, as all that follows: the kernel makes one request of each, also to an NVMe disk.
	deltaup_room=$((deltaup_kib / 2 / 508))
	deltaup_used=$(od -A n -t u8 -j 40 -N 8 "$1") && deltaup_tables=$(od -A n -t u8 -j 64 -N 8 "$1") || return 1
	# Tables may lie in the same block as the trailer: without what is no text, a line's end is where it should be.
	deltaup_hot=$(dd if="$1" bs=4096 skip=$((deltaup_used / 4096)) count=2 2>/dev/null | LC_ALL=C tr -cd ' -~\n' |
		sed -n 's/.*deltaup codec=[^ ]* chunks=[0-9,]* first=[0-9]* hot=\([0-9]\{1,15\}\)$/\1/p' | tail -n 1)
	deltaup_first=$((deltaup_tables / 520192))
	deltaup_count=$((deltaup_used / 520192 + 1 - deltaup_first))
	[ "$deltaup_count" -le "$deltaup_room" ] || return 0
	dd if="$1" of=/dev/null bs=508k skip="$deltaup_first" count="$deltaup_count" 2>/dev/null
	deltaup_room=$((deltaup_room - deltaup_count))
	deltaup_count=$(((${deltaup_hot:-0} + 520191) / 520192))
	[ "$deltaup_count" -le "$deltaup_room" ] || deltaup_count=$deltaup_room
	[ "$deltaup_count" = 0 ] || dd if="$1" of=/dev/null bs=508k count="$deltaup_count" 2>/dev/null
}

# deltaup_squashfs mounts the image.
deltaup_squashfs() {
	if deltaup_arg deltaup.prefetch >/dev/null && ! deltaup_arg deltaup.toram >/dev/null; then
		deltaup_prefetch "$deltaup_image" & # it goes on beside the boot
	fi
	# From a device itself squashfs reads past the page cache, and a prefetch is of no use.
	if [ -f "$deltaup_image" ] || deltaup_arg deltaup.prefetch >/dev/null; then
		deltaup_image=$(losetup -r -f --show "$deltaup_image") || {
			deltaup_fail "there is no loop device for $deltaup_spec"
			return 1
		}
	fi
	mkdir -p "$DELTAUP_RUN/image"
	mount -t squashfs -o ro "$deltaup_image" "$DELTAUP_RUN/image" || {
		deltaup_fail "$deltaup_spec is no squashfs image, or one that was not written to its end"
		return 1
	}
}

# deltaup_record TARGET begins to record what the boot reads of the new root; deltaup-trace.service goes on with it. The
# program is the image's own. A boot whose recording cannot begin goes on without.
deltaup_record() {
	deltaup_program=$DELTAUP_RUN/image/usr/bin/deltaup
	[ -x "$deltaup_program" ] || {
		deltaup_say "nothing is recorded: the image has no program /usr/bin/deltaup"
		return 0
	}
	# The systemd of dracut's initramfs ends all but the processes whose name begins with @ when it switches the root.
	mkdir -p "$DELTAUP_RUN/bin"
	ln -sf "$deltaup_program" "$DELTAUP_RUN/bin/@deltaup"
	(PATH=$DELTAUP_RUN/bin:$PATH && exec @deltaup trace record --until taken --root "$1") >"$DELTAUP_RUN/recorder" 2>&1 &
	deltaup_left=100
	until [ -s "$DELTAUP_RUN/recorder" ] || [ $deltaup_left = 0 ]; do
		deltaup_left=$((deltaup_left - 1))
		sleep 0.1
	done
	deltaup_line=''
	read -r deltaup_line <"$DELTAUP_RUN/recorder" || true
	[ "$deltaup_line" = recording ] || deltaup_say "nothing is recorded: ${deltaup_line:-deltaup does not answer}"
}

# deltaup_upper prepares what is above the image: deltaup_upper_dir is a folder then.
deltaup_upper() {
	case $(deltaup_arg deltaup.overlay || echo tmpfs) in
	tmpfs)
		deltaup_upper_dir=$DELTAUP_RUN/overlay
		mkdir -p "$deltaup_upper_dir"
		mount -t tmpfs -o mode=0755 deltaup-overlay "$deltaup_upper_dir" || {
			deltaup_fail "no memory for the overlay"
			return 1
		}
		;;
	data)
		[ -n "${deltaup_data_device:-}" ] || {
			deltaup_fail "deltaup.overlay=data needs deltaup.data="
			return 1
		}
		deltaup_upper_dir=$DELTAUP_RUN/data/deltaup/overlay/$deltaup_slot
		;;
	*)
		deltaup_fail "deltaup.overlay= is neither tmpfs nor data"
		return 1
		;;
	esac
	mkdir -p "$deltaup_upper_dir/upper" "$deltaup_upper_dir/work" || {
		deltaup_fail "the overlay's folder $deltaup_upper_dir cannot be made"
		return 1
	}
}

# deltaup_mount_root TARGET mounts the slot on TARGET. When it returns, the root file system is there; when that cannot
# be, the machine restarts.
deltaup_mount_root() {
	deltaup_slot=$(deltaup_arg deltaup.slot) || {
		deltaup_fail "the kernel argument deltaup.slot= is missing"
		return 1
	}
	for deltaup_module in loop squashfs overlay; do
		modprobe -q "$deltaup_module" 2>/dev/null || true # it may be built in; a mount tells
	done
	deltaup_data && deltaup_find || return 1
	if deltaup_arg deltaup.toram >/dev/null; then
		deltaup_to_ram || return 1
	fi
	deltaup_squashfs && deltaup_upper || return 1
	mount -t overlay -o "lowerdir=$DELTAUP_RUN/image,upperdir=$deltaup_upper_dir/upper,workdir=$deltaup_upper_dir/work" deltaup-root "$1" || {
		deltaup_fail "the overlay cannot be mounted"
		return 1
	}
	[ -z "${deltaup_data_device:-}" ] || deltaup_bind_data "$1" || return 1
	! deltaup_arg deltaup.trace >/dev/null || deltaup_record "$1"
	deltaup_say "slot $deltaup_slot: $deltaup_spec"
}

# deltaup_bind_data TARGET shows the data partition in the new root, in /data or where deltaup.datadir= says.
deltaup_bind_data() {
	deltaup_dir=$1$(deltaup_arg deltaup.datadir || echo /data)
	mkdir -p "$deltaup_dir"
	mount --bind "$DELTAUP_RUN/data" "$deltaup_dir" || {
		deltaup_fail "the data partition cannot be mounted on $deltaup_dir"
		return 1
	}
}
