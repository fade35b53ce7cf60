# shellcheck shell=sh
# deltaup.sh: mounts the root file system of a slot. It is read by the initramfs of initramfs-tools
# and of dracut, and by the one that deltaup layers composes, which then call deltaup_mount_root; see
# doc/initramfs.md for the kernel arguments and for what is mounted where.

: "${DELTAUP_CMDLINE:=/proc/cmdline}" # these are for tests
: "${DELTAUP_RUN:=/run/deltaup}"
: "${DELTAUP_REBOOT:=deltaup_reboot}"
: "${DELTAUP_WAIT:=30}" # seconds that a device has to appear
: "${DELTAUP_SETTINGS:=60}" # seconds that settings have to appear
# After so many failed boots in a row a slot is given up whose device may only be late, or memory
# takes the data partition's place.
DELTAUP_FAULTS=3

# deltaup_arg NAME prints the value of a kernel argument; the last one counts. It fails when there
# is none.
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

# deltaup_say writes to the console and to the kernel's log, which can be read after the fallback.
# Under systemd, as in dracut, only the kernel's log reaches the console, and with "quiet" only
# lines of level 3 (error) or less.
deltaup_say() {
	echo "deltaup: $*" >&2
	[ ! -w /dev/kmsg ] || echo "<${deltaup_level:-6}>deltaup: $*" >/dev/kmsg
}

# deltaup_fail WHY TEXT ends the boot. GRUB counts the boots of a trial, and falls back; any other
# is counted here. There is no rescue shell: it would wait for ever. WHY is one of the words in
# doc/boot.md, or - when the slot is not to blame.
deltaup_fail() {
	deltaup_level=3
	deltaup_say "slot ${deltaup_slot:-unknown} cannot boot: $2"
	[ "$1" = - ] || deltaup_note "$1" || true
	deltaup_restart
}

deltaup_restart() {
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
		deltaup_look
	done
	readlink -f "$deltaup_path"
}

# deltaup_look does nothing where something else looks for new devices; it has its own meaning in an
# initramfs without udev.
deltaup_look() {
	:
}

# deltaup_mount ARGUMENTS mounts, with a second attempt: a medium may err once, and a failed boot is
# costly.
deltaup_mount() {
	mount "$@" && return 0
	sleep 1
	mount "$@"
}

# deltaup_note WHY notes the failure in GRUB's environment block, which gives the slot up when it is
# time. BOOT is mounted for this moment only. deltaup_boots is the number of boots in a row that
# failed, or nothing when that was not noted.
deltaup_note() {
	deltaup_boots=''
	deltaup_block=$(deltaup_arg deltaup.grubenv) && deltaup_id=$(deltaup_arg deltaup.env) ||
		return 0 # an older boot entry
	deltaup_boot=$(deltaup_device "${deltaup_block%%:*}") || {
		deltaup_say "that is not noted: the device ${deltaup_block%%:*} did not appear"
		return 1
	}
	mkdir -p "$DELTAUP_RUN/boot"
	mount -o rw,noatime "$deltaup_boot" "$DELTAUP_RUN/boot" || {
		deltaup_say "that is not noted: ${deltaup_block%%:*} cannot be mounted for writing"
		return 1
	}
	deltaup_env_note "$DELTAUP_RUN/boot${deltaup_block#*:}" "$1"
	deltaup_noted=$?
	sync
	umount "$DELTAUP_RUN/boot"
	return $deltaup_noted
}

# deltaup_env_note FILE WHY notes the failure in the environment block FILE. It writes what the Go
# package slotboot/counted would, or nothing.
deltaup_env_note() {
	deltaup_boots=''
	deltaup_env_read "$1" || {
		deltaup_say "that is not noted: $1 is not as deltaup leaves it, or not what GRUB has read"
		return 1
	}
	deltaup_before=$deltaup_fault
	deltaup_env_decide "$2" || {
		deltaup_boots=''
		return 0
	}
	# A machine that boots without its data for days does not write at each boot.
	if [ "$2" != data ] || [ "$deltaup_fault" != "$deltaup_before" ]; then
		deltaup_env_write "$1" || {
			deltaup_boots=''
			deltaup_say "that is not noted: $1 cannot be written"
			return 1
		}
	fi
	if [ "$2" = data ]; then
		deltaup_say "memory takes its place after $DELTAUP_FAULTS such boots in a row; this is number $deltaup_boots"
	elif [ "$deltaup_given" = 1 ]; then
		deltaup_say "slot $deltaup_slot is given up: the next boot is of another slot"
	else
		deltaup_say "slot $deltaup_slot is given up after $DELTAUP_FAULTS such boots in a row; this is number $deltaup_boots"
	fi
}

deltaup_nl='
'
deltaup_head="# GRUB Environment Block$deltaup_nl"

# deltaup_text FILE SECTOR prints a sector without characters that do not belong there, and then a
# dot: $() would cut off newlines at the end.
deltaup_text() {
	dd if="$1" bs=512 skip="$2" count=1 2>/dev/null | LC_ALL=C tr -cd '\n -~'
	echo .
}

# deltaup_env_read FILE parses the first sector. It fails unless all of it is as deltaup writes it:
# a block that is damaged or somebody else's is left alone. doc/boot.md has the variables.
deltaup_env_read() {
	case $(dd if="$1" bs=1 skip=1023 count=2 2>/dev/null | od -A n -t x1) in
	' '??) ;; # one byte: there are 1024 of them
	*) return 1 ;;
	esac
	case $(deltaup_text "$1" 1) in
	*deltaup_*) return 1 ;; # would count for GRUB
	esac
	deltaup_old=$(deltaup_text "$1" 0)
	deltaup_old=${deltaup_old%.}
	[ ${#deltaup_old} = 512 ] || return 1
	case $deltaup_old in
	*\\*) return 1 ;;
	"$deltaup_head"*) deltaup_rest=${deltaup_old#"$deltaup_head"} ;;
	*) return 1 ;;
	esac
	deltaup_lines='' deltaup_names=' ' deltaup_last='' deltaup_slots='' deltaup_bad=' '
	while :; do
		case $deltaup_rest in
		deltaup_*"$deltaup_nl"*) ;;
		*) break ;;
		esac
		deltaup_line=${deltaup_rest%%"$deltaup_nl"*}
		deltaup_rest=${deltaup_rest#*"$deltaup_nl"}
		deltaup_name=${deltaup_line%%=*}
		deltaup_value=${deltaup_line#*=}
		# shellcheck disable=SC3012 # dash and busybox know it
		[ "$deltaup_name" != "$deltaup_line" ] && [ "$deltaup_name" \> "$deltaup_last" ] || return 1
		deltaup_last=$deltaup_name
		deltaup_lines=$deltaup_lines$deltaup_line$deltaup_nl
		deltaup_names="$deltaup_names$deltaup_name "
		case $deltaup_name in
		*[!abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_]*) return 1 ;;
		deltaup_active) deltaup_active=$deltaup_value ;;
		deltaup_trial) deltaup_trial=$deltaup_value ;;
		deltaup_tries) deltaup_tries=$deltaup_value ;;
		deltaup_fault) deltaup_fault=$deltaup_value ;;
		deltaup_id) [ "$deltaup_value" = "$deltaup_id" ] || return 1 ;;
		deltaup_bad_*) deltaup_env_slot "${deltaup_name#deltaup_bad_}" "$deltaup_value" || return 1 ;;
		esac
	done
	deltaup_pad=${deltaup_rest%"$deltaup_nl"} # a newline ends it when somebody's variables follow
	case $deltaup_pad,$deltaup_rest in
	*[!#]*,* | ,?*) return 1 ;;
	esac
	for deltaup_name in active trial tries fault id; do
		case $deltaup_names in
		*" deltaup_$deltaup_name "*) ;;
		*) return 1 ;;
		esac
	done
	deltaup_env_sound
}

# deltaup_env_slot NAME BAD adds a slot with its mark.
deltaup_env_slot() {
	case $1 in
	*[!abcdefghijklmnopqrstuvwxyz0123456789_]*) return 1 ;;
	[abcdefghijklmnopqrstuvwxyz]*) [ ${#1} -le 15 ] || return 1 ;;
	*) return 1 ;;
	esac
	deltaup_slots="$deltaup_slots $1"
	case $2 in
	1) deltaup_bad="$deltaup_bad$1 " ;;
	0) ;;
	*) return 1 ;;
	esac
}

# deltaup_is WORD LIST tells whether the word is in the list.
deltaup_is() {
	case " $2 " in
	*" $1 "*) ;;
	*) return 1 ;;
	esac
}

# deltaup_env_sound fails unless the values are possible together.
deltaup_env_sound() {
	# shellcheck disable=SC2086 # words
	set -- $deltaup_slots
	[ $# -ge 2 ] && [ $# -le 8 ] && [ -n "$deltaup_id" ] || return 1
	case $deltaup_id$deltaup_active$deltaup_trial$deltaup_tries$deltaup_fault in
	*[!abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_:]*) return 1 ;;
	esac
	case $deltaup_id in
	*[_:]*) return 1 ;;
	esac
	[ -z "$deltaup_active" ] || deltaup_is "$deltaup_active" "$*" || return 1
	case $deltaup_trial,$deltaup_tries in
	,0) ;;
	?*,[0123456789uk])
		deltaup_is "$deltaup_trial" "$*" && [ "$deltaup_trial" != "$deltaup_active" ] || return 1
		;;
	*) return 1 ;;
	esac
	[ -n "$deltaup_fault" ] || return 0
	deltaup_is "${deltaup_fault%%:*}" "$*" || return 1
	deltaup_value=${deltaup_fault#*:}
	case $deltaup_value in
	?*:[123456789]) deltaup_value=${deltaup_value%:*} ;;
	*) return 1 ;;
	esac
	case $deltaup_value in
	*[!abcdefghijklmnopqrstuvwxyz]* | ?????????*) return 1 ;;
	esac
}

# deltaup_env_decide WHY sets deltaup_fault to what is noted, and deltaup_given to 1 when the slot
# is given up. It fails when nothing is noted.
deltaup_env_decide() {
	deltaup_is "$deltaup_slot" "$deltaup_slots" || return 1
	if [ "$1" = data ]; then
		deltaup_env_data
		return
	fi
	! deltaup_is "$deltaup_slot" "$deltaup_bad" || return 1
	deltaup_other=''
	for deltaup_name in $deltaup_slots; do
		[ "$deltaup_name" = "$deltaup_slot" ] || [ "$deltaup_name" = "$deltaup_trial" ] ||
			deltaup_is "$deltaup_name" "$deltaup_bad" || deltaup_other=$deltaup_name
	done
	[ -n "$deltaup_other" ] || {
		deltaup_say "there is no other slot that is good"
		return 1
	}
	deltaup_given=1 deltaup_boots=1
	case $1 in
	missing | image) ;;
	*)
		! deltaup_arg deltaup.trial >/dev/null && ! deltaup_arg deltaup.fellback >/dev/null ||
			return 1
		[ "$deltaup_slot" = "$deltaup_active" ] || return 1
		case $deltaup_tries in
		[uk]) return 1 ;; # the machine has fallen back to this slot
		esac
		[ "${deltaup_fault%%:*}" != "$deltaup_slot" ] || deltaup_boots=$((${deltaup_fault##*:} + 1))
		[ $deltaup_boots -lt $DELTAUP_FAULTS ] && deltaup_given=0 || deltaup_boots=$DELTAUP_FAULTS
		;;
	esac
	deltaup_fault=$deltaup_slot:$1:$deltaup_boots
}

# deltaup_env_data is deltaup_env_decide for the data partition. All slots have the same one, so no
# slot is given up.
deltaup_env_data() {
	! deltaup_arg deltaup.trial >/dev/null || return 1 # GRUB counts it
	deltaup_given=0 deltaup_boots=1
	case $deltaup_fault in
	"$deltaup_slot":* | *:data:*) deltaup_boots=$((${deltaup_fault##*:} + 1)) ;;
	esac
	[ $deltaup_boots -lt $DELTAUP_FAULTS ] || deltaup_boots=$DELTAUP_FAULTS
	deltaup_fault=$deltaup_slot:data:$deltaup_boots
}

# deltaup_env_write FILE writes the first sector anew, in place and in one piece, and reads it back.
deltaup_env_write() {
	deltaup_new=$deltaup_head
	while [ -n "$deltaup_lines" ]; do
		deltaup_line=${deltaup_lines%%"$deltaup_nl"*}
		deltaup_lines=${deltaup_lines#*"$deltaup_nl"}
		case $deltaup_line in
		deltaup_fault=*) deltaup_line=deltaup_fault=$deltaup_fault ;;
		"deltaup_bad_$deltaup_slot=0") deltaup_line=${deltaup_line%0}$deltaup_given ;;
		deltaup_tries=[0123456789]) # as GRUB ends the trial of a bad slot
			[ "$deltaup_given" = 0 ] || [ "$deltaup_trial" != "$deltaup_slot" ] ||
				deltaup_line=deltaup_tries=0
			;;
		esac
		deltaup_new=$deltaup_new$deltaup_line$deltaup_nl
	done
	deltaup_until=512
	[ "$deltaup_pad" = "$deltaup_rest" ] || deltaup_new=$deltaup_new# deltaup_until=511 # a comment, with its end
	while [ ${#deltaup_new} -lt $deltaup_until ]; do deltaup_new=$deltaup_new#; done
	[ $deltaup_until = 512 ] || deltaup_new=$deltaup_new$deltaup_nl
	[ ${#deltaup_new} = 512 ] || return 1
	# dd gathers it, whatever pieces come through the pipe; one sector is written whole or not at
	# all.
	printf %s "$deltaup_new" | dd of="$1" obs=512 conv=notrunc,fsync 2>/dev/null || return 1
	[ "$(deltaup_text "$1" 0)" = "$deltaup_new." ]
}

# deltaup_blame FS WHY prints WHY, or kernel when the kernel does not know the file system.
deltaup_blame() {
	if [ -n "$(sed -n "/[^a-z0-9]$1\$/p" /proc/filesystems)" ]; then echo "$2"; else echo kernel; fi
}

# deltaup_image_fault IMAGE prints what is wrong with an image: read when the medium cannot be read,
# else image. It prints nothing when all that a mount reads is there.
deltaup_image_fault() {
	deltaup_magic=$(od -A n -t x1 -N 4 "$1" 2>/dev/null) || {
		echo read
		return
	}
	deltaup_used=$(od -A n -t u8 -j 40 -N 8 "$1" 2>/dev/null) &&
		deltaup_tables=$(od -A n -t u8 -j 64 -N 8 "$1" 2>/dev/null) || deltaup_magic=short
	deltaup_used=${deltaup_used##* } deltaup_tables=${deltaup_tables##* }
	if [ "$deltaup_magic" != ' 68 73 71 73' ] || [ ${#deltaup_used} -gt 15 ] ||
		[ ${#deltaup_tables} -gt 15 ] || [ "$deltaup_tables" -ge "$deltaup_used" ]; then
		echo image
	elif ! dd if="$1" bs=4096 skip=$((deltaup_tables / 4096)) \
		count=$((deltaup_used / 4096 - deltaup_tables / 4096 + 1)) of=/dev/null 2>/dev/null; then
		echo read
	elif [ -z "$(dd if="$1" bs=1 skip=$((deltaup_used - 1)) count=1 2>/dev/null |
		od -A n -t x1)" ]; then
		echo image
	fi
}

# deltaup_data mounts the data partition, when there is one. All slots have the same one, so none is
# to blame when that fails.
deltaup_data() {
	deltaup_data_spec=$(deltaup_arg deltaup.data) || return 0
	mkdir -p "$DELTAUP_RUN/data"
	deltaup_data_mount || deltaup_no_data "$deltaup_data_why"
}

# deltaup_data_mount sets deltaup_data_device, or deltaup_data_why when it fails.
deltaup_data_mount() {
	deltaup_data_why="the data partition $deltaup_data_spec did not appear"
	deltaup_path=$(deltaup_device "$deltaup_data_spec") || return 1
	deltaup_data_why="the data partition $deltaup_data_spec cannot be mounted"
	deltaup_mount "$deltaup_path" "$DELTAUP_RUN/data" || return 1
	deltaup_data_device=$deltaup_path
}

# deltaup_no_data TEXT goes on with memory in place of the data partition, or restarts the machine
# when it is too early for that. deltaup notice tells of it. It fails when the boot cannot go on.
deltaup_no_data() {
	deltaup_level=3
	deltaup_data_text=$1
	case $(deltaup_arg deltaup.nodata || echo fallback) in
	never)
		deltaup_fail - "$1"
		return 1
		;;
	fallback)
		deltaup_count_data "$1" || return 1
		[ -n "$deltaup_data_text" ] || return 0 # it is there after all
		;;
	esac
	deltaup_data_device=tmpfs
	mount -t tmpfs -o mode=0755 deltaup-data "$DELTAUP_RUN/data" || {
		deltaup_fail - "$deltaup_data_text, and there is no memory in its place"
		return 1
	}
	deltaup_say "$deltaup_data_text: memory takes its place"
	deltaup_level=6
	echo "$deltaup_data_text: memory takes its place" >"$DELTAUP_RUN/nodata"
}

# deltaup_count_data TEXT counts the boots in a row that lack their data, and restarts before the
# last of them. Where they cannot be counted, this boot waits for as long as all of them would. A
# trial has its tries, which GRUB counts.
deltaup_count_data() {
	if deltaup_arg deltaup.trial >/dev/null; then
		deltaup_fail - "$1"
		return 1
	fi
	deltaup_say "slot $deltaup_slot lacks its data: $1"
	deltaup_note data || true
	case $deltaup_boots in
	"$DELTAUP_FAULTS") deltaup_data_text="$1, in $DELTAUP_FAULTS boots in a row" ;;
	?)
		deltaup_restart
		return 1
		;;
	*)
		[ -z "${deltaup_data_device:-}" ] || return 0
		deltaup_say "such boots cannot be counted: waiting on"
		for deltaup_name in 2 3; do
			if deltaup_data_mount; then
				deltaup_data_text=''
				deltaup_level=6
				return 0
			fi
		done
		;;
	esac
}

# deltaup_find finds the slot's image: deltaup_image is a device or a file then.
deltaup_find() {
	deltaup_spec=$(deltaup_arg deltaup.image) || {
		deltaup_fail - "the kernel argument deltaup.image= is missing; deltaup boot setup writes it"
		return 1
	}
	deltaup_image=$(deltaup_device "${deltaup_spec%%:*}") || {
		deltaup_fail device "the device ${deltaup_spec%%:*} did not appear"
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
		deltaup_mount "$deltaup_image" "$deltaup_disk" || {
			deltaup_fail mount "the device ${deltaup_spec%%:*}, which holds the slot, cannot be mounted"
			return 1
		}
	fi
	deltaup_image=$deltaup_disk${deltaup_spec#*:}
	[ -f "$deltaup_image" ] || {
		case $(LC_ALL=C od -N 1 "$deltaup_image" 2>&1) in
		*"No such file"* | *"Not a directory"*)
			deltaup_fail missing "there is no file ${deltaup_spec#*:} on ${deltaup_spec%%:*}"
			;;
		*) deltaup_fail read "$deltaup_spec cannot be read" ;;
		esac
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
	deltaup_why=$(deltaup_image_fault "$deltaup_image")
	[ -z "$deltaup_why" ] || {
		deltaup_fail_image "$deltaup_why"
		return 1
	}
	deltaup_bytes=$(deltaup_size "$deltaup_image")
	deltaup_ram=$DELTAUP_RUN/ram
	mkdir -p "$deltaup_ram"
	mount -t tmpfs -o "size=$((deltaup_bytes + 65536)),mode=0755" deltaup-ram "$deltaup_ram" || {
		deltaup_fail - "no memory for an image of $deltaup_bytes bytes"
		return 1
	}
	deltaup_count=$((deltaup_bytes / 4096))
	dd if="$deltaup_image" of="$deltaup_ram/$deltaup_slot.squashfs" bs=4096 \
		count=$deltaup_count 2>/dev/null || {
		if dd if="$deltaup_image" of=/dev/null bs=4096 count=$deltaup_count 2>/dev/null; then
			deltaup_fail - "the image of $deltaup_bytes bytes cannot be copied into memory"
		else
			deltaup_fail_image read
		fi
		return 1
	}
	deltaup_image=$deltaup_ram/$deltaup_slot.squashfs
	[ "${deltaup_disk:-}" != "$DELTAUP_RUN/disk" ] || umount "$deltaup_disk"
}

# deltaup_prefetch SOURCE reads what a boot needs of the image into the page cache: its tables, then
# the data that lead it, which end where the trailer says. At most half of the free memory is
# filled. doc/trace.md has the reasons.
deltaup_prefetch() {
	while read -r deltaup_name deltaup_kib deltaup_word; do
		[ "$deltaup_name" != MemFree: ] || break
	done </proc/meminfo
	# In steps of 508 KiB, as all that follows: the kernel makes one request of each, also to an
	# NVMe disk.
	deltaup_room=$((deltaup_kib / 2 / 508))
	deltaup_used=$(od -A n -t u8 -j 40 -N 8 "$1") &&
		deltaup_tables=$(od -A n -t u8 -j 64 -N 8 "$1") || return 1
	# Tables may lie in the same block as the trailer: without what is no text, a line's end is
	# where it should be.
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
			deltaup_fail kernel "there is no loop device for $deltaup_spec"
			return 1
		}
	fi
	mkdir -p "$DELTAUP_RUN/image"
	deltaup_mount -t squashfs -o ro "$deltaup_image" "$DELTAUP_RUN/image" || {
		deltaup_why=$(deltaup_image_fault "$deltaup_image")
		[ -n "$deltaup_why" ] || deltaup_why=$(deltaup_blame squashfs image)
		deltaup_fail_image "$deltaup_why"
		return 1
	}
}

# deltaup_fail_image WHY ends the boot for what deltaup_image_fault found.
deltaup_fail_image() {
	case $1 in
	read) deltaup_fail read "$deltaup_spec cannot be read" ;;
	kernel) deltaup_fail kernel "the kernel does not know squashfs" ;;
	*) deltaup_fail image "$deltaup_spec is no squashfs image, or one that was not written to its end" ;;
	esac
}

# deltaup_record TARGET begins to record what the boot reads of the new root; deltaup-trace.service
# takes over. The program is the image's own. When recording cannot begin, the boot goes on without
# it.
deltaup_record() {
	deltaup_program=$DELTAUP_RUN/image/usr/bin/deltaup
	[ -x "$deltaup_program" ] || {
		deltaup_say "nothing is recorded: the image has no program /usr/bin/deltaup"
		return 0
	}
	# The systemd of dracut's initramfs ends all but the processes whose name begins with @ when it
	# switches the root.
	mkdir -p "$DELTAUP_RUN/bin"
	ln -sf "$deltaup_program" "$DELTAUP_RUN/bin/@deltaup"
	(PATH=$DELTAUP_RUN/bin:$PATH && exec @deltaup trace record --until taken --root "$1") \
		>"$DELTAUP_RUN/recorder" 2>&1 &
	deltaup_left=100
	until [ -s "$DELTAUP_RUN/recorder" ] || [ $deltaup_left = 0 ]; do
		deltaup_left=$((deltaup_left - 1))
		sleep 0.1
	done
	deltaup_line=''
	read -r deltaup_line <"$DELTAUP_RUN/recorder" || true
	[ "$deltaup_line" = recording ] ||
		deltaup_say "nothing is recorded: ${deltaup_line:-deltaup does not answer}"
}

# deltaup_upper prepares what is above the image: deltaup_upper_dir is a folder then.
deltaup_upper() {
	case $(deltaup_arg deltaup.overlay || echo tmpfs) in
	tmpfs)
		deltaup_upper_dir=$DELTAUP_RUN/overlay
		mkdir -p "$deltaup_upper_dir"
		mount -t tmpfs -o mode=0755 deltaup-overlay "$deltaup_upper_dir" || {
			deltaup_fail - "no memory for the overlay"
			return 1
		}
		;;
	data)
		[ -n "${deltaup_data_device:-}" ] || {
			deltaup_fail - "deltaup.overlay=data needs deltaup.data="
			return 1
		}
		deltaup_upper_dir=$DELTAUP_RUN/data/deltaup/overlay/$deltaup_slot
		# A partition that is full or read-only has no place for new folders.
		if [ "$deltaup_data_device" != tmpfs ] &&
			! mkdir -p "$deltaup_upper_dir/upper" "$deltaup_upper_dir/work"; then
			deltaup_data_why="the overlay's folder on the data partition $deltaup_data_spec"
			deltaup_no_data "$deltaup_data_why cannot be made" || return 1
		fi
		;;
	*)
		deltaup_fail - "deltaup.overlay= is neither tmpfs nor data"
		return 1
		;;
	esac
	mkdir -p "$deltaup_upper_dir/upper" "$deltaup_upper_dir/work" || {
		deltaup_fail - "the overlay's folder $deltaup_upper_dir cannot be made"
		return 1
	}
}

# deltaup_overlay TARGET mounts the image on TARGET, below what deltaup_upper has prepared.
deltaup_overlay() {
	deltaup_overlay_mount "$1" && return 0
	deltaup_why=$(deltaup_blame overlay -)
	# A worn-out medium takes no more writes. The folders are there, and the kernel refuses them.
	if [ "$deltaup_why" = - ] && [ "$deltaup_upper_dir" != "$DELTAUP_RUN/overlay" ] &&
		[ "$deltaup_data_device" != tmpfs ]; then
		deltaup_no_data "the overlay on the data partition $deltaup_data_spec cannot be mounted" ||
			return 1
		mkdir -p "$deltaup_upper_dir/upper" "$deltaup_upper_dir/work" &&
			deltaup_overlay_mount "$1" && return 0
	fi
	deltaup_fail "$deltaup_why" "the overlay cannot be mounted"
	return 1
}

deltaup_overlay_mount() {
	deltaup_dirs=lowerdir=$DELTAUP_RUN/image
	deltaup_dirs=$deltaup_dirs,upperdir=$deltaup_upper_dir/upper,workdir=$deltaup_upper_dir/work
	mount -t overlay -o "$deltaup_dirs" deltaup-root "$1"
}

# deltaup_mount_root TARGET mounts the slot on TARGET. When it returns, the root file system is
# there; when that cannot be, the machine restarts.
deltaup_mount_root() {
	deltaup_slot=$(deltaup_arg deltaup.slot) || {
		deltaup_fail - "the kernel argument deltaup.slot= is missing"
		return 1
	}
	for deltaup_module in loop squashfs overlay; do
		modprobe -q "$deltaup_module" 2>/dev/null || true # it may be built in; a mount tells
	done
	deltaup_data && deltaup_find || return 1
	if deltaup_arg deltaup.toram >/dev/null; then
		deltaup_to_ram || return 1
	fi
	deltaup_squashfs && deltaup_upper && deltaup_overlay "$1" || return 1
	[ -z "${deltaup_data_device:-}" ] || deltaup_bind_data "$1" || return 1
	deltaup_settings "$1"
	! deltaup_arg deltaup.trace >/dev/null || deltaup_record "$1"
	deltaup_say "slot $deltaup_slot: $deltaup_spec"
}

# deltaup_bind_data TARGET shows the data partition in the new root, in /data or where
# deltaup.datadir= says.
deltaup_bind_data() {
	deltaup_dir=$1$(deltaup_arg deltaup.datadir || echo /data)
	mkdir -p "$deltaup_dir"
	mount --bind "$DELTAUP_RUN/data" "$deltaup_dir" || {
		deltaup_fail - "the data partition cannot be mounted on $deltaup_dir"
		return 1
	}
}

# deltaup_settings TARGET shows in the new root what the machine's owner has changed, and folders of
# data, when the image has a list of them. The program is the image's own. The boot goes on whatever
# fails, with the image's defaults; deltaup settings status tells of it, too.
deltaup_settings() {
	[ -n "${deltaup_data_device:-}" ] || return 0
	[ -d "$DELTAUP_RUN/image/usr/lib/deltaup/settings.d" ] ||
		[ -f "$DELTAUP_RUN/image/opt/.filetool.lst" ] || return 0
	if [ "$(deltaup_arg deltaup.settings)" = off ]; then
		deltaup_say "settings are off: what is changed below /etc is gone with this boot"
		return 0
	fi
	deltaup_program=$DELTAUP_RUN/image/usr/bin/deltaup
	[ -x "$deltaup_program" ] || {
		deltaup_settings_fail "the image has no program /usr/bin/deltaup"
		return 0
	}
	deltaup_within "$DELTAUP_SETTINGS" "$deltaup_program" settings mount --root "$1" --image "$DELTAUP_RUN/image" \
		--device "$deltaup_image" --data "$DELTAUP_RUN/data" --run "$DELTAUP_RUN" \
		>"$DELTAUP_RUN/settings.log" 2>&1
	deltaup_status=$?
	deltaup_why=''
	while read -r deltaup_line; do
		case $deltaup_line in
		deltaup*) [ -n "$deltaup_why" ] || deltaup_why=${deltaup_line#deltaup: } ;;
		settings:*) deltaup_say "$deltaup_line" ;;
		esac
	done <"$DELTAUP_RUN/settings.log"
	case $deltaup_status in
	0) ;;
	255) deltaup_settings_fail "deltaup did not end within $DELTAUP_SETTINGS seconds" ;;
	*) deltaup_settings_fail "${deltaup_why:-deltaup ended with $deltaup_status}" ;;
	esac
}

# deltaup_settings_fail TEXT tells that this boot goes on without all of the settings. The program
# may have written what failed, in more words.
deltaup_settings_fail() {
	deltaup_level=3
	deltaup_say "settings: $1"
	deltaup_level=6
	[ -s "$DELTAUP_RUN/settings.failed" ] || echo "$1" >"$DELTAUP_RUN/settings.failed"
}

# deltaup_within SECONDS PROGRAM ARGUMENTS runs a program, and goes on without it when the time is
# over, also when a disk that does not answer keeps it from being killed: 255 then. Its status is
# the program's otherwise. What comes first through the pipe counts: no shell waits for the program.
deltaup_within() {
	deltaup_seconds=$1
	shift
	{
		{
			(
				deltaup_sleep=''
				trap '[ -z "$deltaup_sleep" ] || kill "$deltaup_sleep"; exit' TERM
				sleep "$deltaup_seconds" >/dev/null &
				deltaup_sleep=$!
				wait "$deltaup_sleep"
				echo late
			) &
			echo $!
			(
				"$@" >&3 3>&- &
				echo $!
				wait $!
				echo $?
			) &
		} | (
			read -r deltaup_watch
			read -r deltaup_pid
			read -r deltaup_status
			[ "$deltaup_status" != late ] || {
				kill -9 "$deltaup_pid"
				exit 255
			}
			kill "$deltaup_watch"
			exit "$deltaup_status"
		) 2>/dev/null
	} 3>&1
}
