package device

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"deltaup/slotboot/config"
	"deltaup/slotboot/counted"
	"deltaup/slotboot/grubenv"
	"deltaup/slotboot/machine"
)

// ErrUnsound is wrapped when the doctor found something that would keep an update or a fallback
// from working.
var ErrUnsound = errors.New("something needs to be done")

// The levels of a finding.
const (
	Good    = "good"
	Unknown = "unknown" // could not be proved yet
	Wrong   = "wrong"
)

// Finding is one thing that the doctor looked at.
type Finding struct {
	Level  string `json:"level"`
	What   string `json:"what"`
	Advice string `json:"advice,omitempty"` // what to do about it
}

// doctor collects findings.
type doctor struct {
	d    *Device
	list []Finding
}

func (x *doctor) good(format string, args ...any) {
	x.list = append(x.list, Finding{Level: Good, What: fmt.Sprintf(format, args...)})
}

func (x *doctor) wrong(advice, format string, args ...any) {
	x.list = append(x.list, Finding{Wrong, fmt.Sprintf(format, args...), advice})
}

func (x *doctor) unknown(advice, format string, args ...any) {
	x.list = append(x.list, Finding{Unknown, fmt.Sprintf(format, args...), advice})
}

// Doctor looks at all that an update and a fallback rest on. It changes nothing.
func (d *Device) Doctor() []Finding {
	x := &doctor{d: d}
	x.good("configuration %s: %d slots", d.Config.File, len(d.Config.Slots))
	x.booted()
	place := x.grubenvPlace()
	state, ok := x.state()
	x.sameBlock()
	booted, _ := d.Booted() // told already
	for i := range d.Config.Slots {
		x.slot(&d.Config.Slots[i], place, state)
		x.scrubbed(d.Config.Slots[i].Name, booted)
	}
	if ok {
		x.fallback(state)
	}
	x.stateFolder()
	return x.list
}

func (x *doctor) booted() {
	name, err := x.d.Booted()
	switch {
	case errors.Is(err, machine.ErrNoSlot):
		x.unknown("boot one of the slots through GRUB's entry of deltaup",
			"the machine runs from no slot")
	case err != nil:
		x.wrong(
			"let the configuration and the boot entry name the slots alike; deltaup boot setup writes the entry",
			"%v",
			err,
		)
	default:
		x.good("the machine runs from slot %s, as its kernel argument says", name)
	}
}

// grubenvPlace looks at the file system of the environment block.
func (x *doctor) grubenvPlace() *machine.FileSystem {
	path := x.d.Config.Boot.Grubenv
	place, err := x.d.Machine.FileSystem(path)
	switch {
	case errors.Is(err, machine.ErrNotMounted):
		x.wrong("mount the machine's file systems below its root", "%v", err)
		return nil
	case err != nil:
		x.unknown("run deltaup doctor as root", "%s: %v", path, err)
		return nil
	case place.NotForGRUB != "":
		x.wrong(
			"let boot.grubenv be on a partition of its own with ext4 (mkfs.ext4 -O ^inline_data,^casefold,^ea_inode,^bigalloc) or FAT, without LVM and RAID",
			"%s: GRUB cannot write there: %s",
			path,
			place.NotForGRUB,
		)
	case place.Unknown != "":
		x.unknown("run deltaup doctor as root, with /dev and /sys",
			"%s: not known whether GRUB can write there: %s", path, place.Unknown)
	default:
		x.good("%s lies on %s, where GRUB can write", path, place.Type)
	}
	return place
}

// state looks at the environment block's content.
func (x *doctor) state() (state counted.State, ok bool) {
	path := x.d.Config.Boot.Grubenv
	block, err := grubenv.Find(x.d.blockPath())
	switch {
	case errors.Is(err, grubenv.ErrForeign):
		x.wrong("move it away or let boot.grubenv name another file, then "+x.setup(), "%v", err)
		return state, false
	case err != nil:
		x.unknown("run deltaup doctor as root", "%v", err)
		return state, false
	case errors.Is(block.Fault, fs.ErrNotExist):
		x.wrong(x.setup()+" makes it", "%s: there is none", path)
		return state, false
	case block.Fault != nil:
		fault := block.Fault.Error()
		if info, err := os.Stat(x.d.blockPath()); err == nil && info.Size() != grubenv.Size {
			fault = fmt.Sprintf("%s: it has %d bytes, not %d", path, info.Size(), grubenv.Size)
		}
		x.wrong(x.setup()+" mends it", "%s", fault)
		return state, false
	}
	if err := unix.Access(x.d.blockPath(), unix.W_OK); errors.Is(err, unix.EROFS) {
		x.wrong("mount its file system for writing", "%s: %v", path, err)
	}
	state = counted.Of(block.Block, x.d.names())
	if state.Active == "" {
		x.noActive()
		return state, false
	}
	if state.FellBack() == state.Active {
		x.wrong(
			"deltaup pull fills it anew; deltaup mark-active "+state.Active+" when what was missing is there again",
			"slot %s is active, and the initramfs has given it up",
			state.Active,
		)
		return state, true
	}
	x.good("slot %s is active", state.Active)
	return state, true
}

// setup is the command that helps this machine.
func (x *doctor) setup() string {
	if booted, err := x.d.Booted(); err == nil && booted != "" || x.d.firstBootable() == "" {
		return "deltaup boot setup"
	}
	return "deltaup boot setup --active " + x.d.firstBootable()
}

// noActive says how one of the slots becomes active.
func (x *doctor) noActive() {
	path := x.d.Config.Boot.Grubenv
	booted, err := x.d.Booted()
	switch {
	case err == nil:
		x.wrong("deltaup mark-active "+booted, "%s names no active slot", path)
	case x.d.firstBootable() != "":
		x.wrong("deltaup mark-active "+x.d.firstBootable(), "%s names no active slot", path)
	default:
		x.unknown("deltaup pull fills one, which then boots",
			"%s names no active slot: all are empty", path)
	}
}

// sameBlock proves that GRUB read the block that is written here: it passed its random number on.
func (x *doctor) sameBlock() {
	state, err := x.d.counted()
	if err != nil {
		return // told already
	}
	mine := state.ID
	theirs, passed, err := x.d.Machine.Arg(machine.ArgEnv)
	switch {
	case err != nil:
		x.unknown("", "GRUB's kernel arguments: %v", err)
	case mine == "":
		x.wrong("deltaup boot setup, then reboot", "%s has no deltaup_id", x.d.Config.Boot.Grubenv)
	case !passed || theirs == "":
		x.unknown("deltaup boot setup, then reboot through its entry",
			"not proved that GRUB reads the same environment block: the kernel was not given %s=",
			machine.ArgEnv)
	case mine != theirs:
		x.wrong(
			"let boot.grubenv be the file that GRUB reads, or run deltaup boot setup again and reboot",
			"GRUB read another environment block (%s) than %s (%s)",
			theirs,
			x.d.Config.Boot.Grubenv,
			mine,
		)
	default:
		x.good("GRUB read this environment block when the machine started")
	}
}

// slot looks at one slot and its kernel.
func (x *doctor) slot(s *config.Slot, place *machine.FileSystem, state counted.State) {
	at, err := x.d.Machine.FileSystem(s.Boot)
	if err == nil && place != nil && at.Device != place.Device {
		x.wrong(
			"let all slots' boot folders be beside boot.grubenv: GRUB looks on one file system only",
			"slot %s: %s is on another file system than %s",
			s.Name,
			s.Boot,
			x.d.Config.Boot.Grubenv,
		)
	}
	if _, err := os.Stat(x.d.path(s.Path)); err != nil {
		x.unknown("the first update makes a file; a device must be there", "slot %s: %v", s.Name,
			err)
	}
	missing := ""
	for _, file := range []string{x.d.kernel(s), x.d.initrd(s)} {
		if !exists(file) {
			missing = file
		}
	}
	switch {
	case missing == "":
		x.bootFiles(s, state)
	case state.IsBad(s.Name):
		x.unknown("deltaup pull", "slot %s holds nothing to boot: no %s", s.Name, missing)
	default:
		x.wrong("deltaup pull fills it; until then deltaup mark-bad "+s.Name,
			"slot %s would be booted and has no %s", s.Name, missing)
	}
}

// bootFiles compares the kernel and the initrd of a slot with what was installed.
func (x *doctor) bootFiles(s *config.Slot, state counted.State) {
	r, err := x.d.records()
	if err == nil {
		err = x.d.intact(s, r.slot(s.Name))
	}
	switch {
	case err == nil:
		x.good("slot %s has kernel and initrd", s.Name)
	case !errors.Is(err, ErrNotWhole):
		x.unknown("", "%v", err)
	case state.IsBad(s.Name):
		x.unknown("deltaup pull fills it", "%v", err)
	case s.Name == next(state):
		x.wrong(
			"the next restart may be the last: deltaup repair, or deltaup mark-active of another slot, restart, deltaup pull",
			"%v",
			err,
		)
	default:
		x.wrong(
			"deltaup mark-bad "+s.Name+", so that GRUB does not fall back to it; the next deltaup pull fills it",
			"%v",
			err,
		)
	}
}

// fallback looks for a slot to fall back to.
func (x *doctor) fallback(state counted.State) {
	var others []string
	scrubs, _ := x.d.scrubs() // told already
	for i := range x.d.Config.Slots {
		s := &x.d.Config.Slots[i]
		rec, err := x.d.record(s.Name)
		if err != nil || scrubs.damaged(s.Name, &rec) {
			continue
		}
		if s.Name != next(state) && !state.IsBad(s.Name) && state.FellBack() != s.Name &&
			x.d.bootable(s.Name) == nil {
			others = append(others, s.Name)
		}
	}
	if len(others) == 0 {
		x.unknown("the next deltaup pull makes one", "there is no slot to fall back to beside %s",
			next(state))
		return
	}
	x.good("GRUB can fall back from %s to %v", next(state), others)
}

// stateFolder looks whether what is written there outlives a reboot.
func (x *doctor) stateFolder() {
	place, err := x.d.Machine.FileSystem(x.d.Config.State)
	if err != nil {
		x.unknown("the first update makes the folder", "%s: %v", x.d.Config.State, err)
		return
	}
	switch place.Type {
	case "overlay", "tmpfs", "ramfs", "squashfs", "rootfs":
		x.wrong(
			"let state be on the data partition: what is there is lost with the slot or the reboot",
			"%s lies on %s",
			x.d.Config.State,
			place.Type,
		)
	default:
		x.good("%s lies on %s", x.d.Config.State, place.Type)
	}
}

// Sound wraps ErrUnsound when something is wrong.
func Sound(findings []Finding) error {
	n := 0
	for _, f := range findings {
		if f.Level == Wrong {
			n++
		}
	}
	if n > 0 {
		return fmt.Errorf("%w: %d of %d findings", ErrUnsound, n, len(findings))
	}
	return nil
}
