package grub

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"deltaup/slotboot/grubenv"
	"deltaup/slotboot/loader"
	"deltaup/slotboot/machine"
)

// Inspect looks at the environment block, at its file system, and whether GRUB read it at this
// boot. It changes nothing. Setup is the command that would mend a block.
func (l *Loader) Inspect(setup string) loader.Inspection {
	i := loader.Inspection{
		Where: l.config.Boot.Grubenv,
		Slots: map[string]loader.Findings{},
	}
	place := l.inspectPlace(&i.State)
	i.Sound = l.inspectBlock(&i.State, setup)
	l.inspectBoot(&i.Boot)
	for j := range l.config.Slots {
		slot := &l.config.Slots[j]
		at, err := l.machine.FileSystem(slot.Boot)
		if err != nil || place == nil || at.Device == place.Device {
			continue
		}
		var found loader.Findings
		found.Wrong(
			"let all slots' boot folders be beside boot.grubenv: GRUB looks on one file system only",
			"slot %s: %s is on another file system than %s", slot.Name, slot.Boot, i.Where)
		i.Slots[slot.Name] = found
	}
	return i
}

// inspectPlace looks at the file system of the environment block.
func (l *Loader) inspectPlace(x *loader.Findings) *machine.FileSystem {
	path := l.config.Boot.Grubenv
	place, err := l.machine.FileSystem(path)
	switch {
	case errors.Is(err, machine.ErrNotMounted):
		x.Wrong("mount the machine's file systems below its root", "%v", err)
		return nil
	case err != nil:
		x.Unknown("run deltaup doctor as root", "%s: %v", path, err)
		return nil
	}
	switch why := unfit(place); {
	case why != "":
		x.Wrong("let boot.grubenv be on a partition of its own with ext4 "+
			"(mkfs.ext4 -O ^inline_data,^casefold,^ea_inode,^bigalloc) or FAT, without LVM and RAID",
			"%s: GRUB cannot write there: %s", path, why)
	case place.Unknown != "":
		x.Unknown("run deltaup doctor as root, with /dev and /sys",
			"%s: not known whether GRUB can write there: %s", path, place.Unknown)
	default:
		x.Good("%s lies on %s, where GRUB can write", path, place.Type)
	}
	return place
}

// inspectBlock tells whether there is an environment block that can be read.
func (l *Loader) inspectBlock(x *loader.Findings, setup string) bool {
	path := l.config.Boot.Grubenv
	block, err := grubenv.Find(l.blockPath())
	switch {
	case errors.Is(err, grubenv.ErrForeign):
		x.Wrong("move it away or let boot.grubenv name another file, then "+setup, "%v", err)
		return false
	case err != nil:
		x.Unknown("run deltaup doctor as root", "%v", err)
		return false
	case errors.Is(block.Fault, fs.ErrNotExist):
		x.Wrong(setup+" makes it", "%s: there is none", path)
		return false
	case block.Fault != nil:
		fault := block.Fault.Error()
		if info, err := os.Stat(l.blockPath()); err == nil && info.Size() != grubenv.Size {
			fault = fmt.Sprintf("%s: it has %d bytes, not %d", path, info.Size(), grubenv.Size)
		}
		x.Wrong(setup+" mends it", "%s", fault)
		return false
	}
	if err := unix.Access(l.blockPath(), unix.W_OK); errors.Is(err, unix.EROFS) {
		x.Wrong("mount its file system for writing", "%s: %v", path, err)
	}
	return true
}

// inspectBoot proves that GRUB read the block that is written here: it passed its id on.
func (l *Loader) inspectBoot(x *loader.Findings) {
	path := l.config.Boot.Grubenv
	state, err := l.Read()
	if err != nil {
		return // told already
	}
	theirs, passed, err := l.machine.Arg(argEnv)
	switch {
	case err != nil:
		x.Unknown("", "GRUB's kernel arguments: %v", err)
	case state.ID == "":
		x.Wrong("deltaup boot setup, then reboot", "%s has no deltaup_id", path)
	case !passed || theirs == "":
		x.Unknown("deltaup boot setup, then reboot through its entry",
			"not proved that GRUB reads the same environment block: the kernel was not given %s=",
			argEnv)
	case state.ID != theirs:
		x.Wrong("let boot.grubenv be the file that GRUB reads, "+
			"or run deltaup boot setup again and reboot",
			"GRUB read another environment block (%s) than %s (%s)", theirs, path, state.ID)
	default:
		x.Good("GRUB read this environment block when the machine started")
	}
}
