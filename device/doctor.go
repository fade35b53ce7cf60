package device

import (
	"errors"
	"fmt"
	"os"

	"deltaup/slotboot/config"
	"deltaup/slotboot/counted"
	"deltaup/slotboot/loader"
	"deltaup/slotboot/machine"
)

// ErrUnsound is wrapped when the doctor found something that would keep an update or a fallback
// from working.
var ErrUnsound = errors.New("something needs to be done")

// doctor collects findings.
type doctor struct {
	d *Device
	loader.Findings
}

// Doctor looks at all that an update and a fallback rest on. It changes nothing.
func (d *Device) Doctor() loader.Findings {
	x := &doctor{d: d}
	x.Good("configuration %s: %d slots", d.Config.File, len(d.Config.Slots))
	x.booted()
	found := d.loader.Inspect(x.setup())
	x.Findings = append(x.Findings, found.State...)
	state, ok := x.state(&found)
	x.Findings = append(x.Findings, found.Boot...)
	booted, _ := d.Booted() // told already
	for i := range d.Config.Slots {
		slot := &d.Config.Slots[i]
		x.Findings = append(x.Findings, found.Slots[slot.Name]...)
		x.slot(slot, state, found.Sound)
		x.scrubbed(slot.Name, booted)
	}
	if ok {
		x.fallback(state)
	}
	x.stateFolder()
	return x.Findings
}

func (x *doctor) booted() {
	name, err := x.d.Booted()
	switch {
	case errors.Is(err, machine.ErrNoSlot):
		x.Unknown("boot one of the slots through "+x.d.loader.Name()+"'s entry of deltaup",
			"the machine runs from no slot")
	case err != nil:
		x.Wrong("let the configuration and the boot entry name the slots alike; "+
			"deltaup boot setup writes the entry", "%v", err)
	default:
		x.Good("the machine runs from slot %s, as its kernel argument says", name)
	}
}

// state looks at what the boot loader's state says, when there is a sound one.
func (x *doctor) state(found *loader.Inspection) (state counted.State, ok bool) {
	if !found.Sound {
		return state, false
	}
	state, err := x.d.loader.Read()
	if err != nil {
		x.Unknown("run deltaup doctor as root", "%v", err)
		return state, false
	}
	if state.Active == "" {
		x.noActive(found.Where)
		return state, false
	}
	if state.FellBack() == state.Active {
		x.Wrong("deltaup pull fills it anew; deltaup mark-active "+state.Active+
			" when what was missing is there again",
			"slot %s is active, and the initramfs has given it up", state.Active)
		return state, true
	}
	x.Good("slot %s is active", state.Active)
	return state, true
}

// setup is the setup command that this machine needs.
func (x *doctor) setup() string {
	if booted, err := x.d.Booted(); err == nil && booted != "" || x.d.firstBootable() == "" {
		return "deltaup boot setup"
	}
	return "deltaup boot setup --active " + x.d.firstBootable()
}

// noActive says how one of the slots becomes active.
func (x *doctor) noActive(path string) {
	booted, err := x.d.Booted()
	switch {
	case err == nil:
		x.Wrong("deltaup mark-active "+booted, "%s names no active slot", path)
	case x.d.firstBootable() != "":
		x.Wrong("deltaup mark-active "+x.d.firstBootable(), "%s names no active slot", path)
	default:
		x.Unknown("deltaup pull fills one, which then boots",
			"%s names no active slot: all are empty", path)
	}
}

// slot looks at one slot and its kernel; known tells whether there is a state.
func (x *doctor) slot(s *config.Slot, state counted.State, known bool) {
	if _, err := os.Stat(x.d.path(s.Path)); err != nil {
		x.Unknown("the first update makes a file; a device must be there", "slot %s: %v", s.Name,
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
		x.Unknown("deltaup pull", "slot %s holds nothing to boot: no %s", s.Name, missing)
	case !known:
		x.Unknown(x.setup()+", then deltaup pull", "slot %s holds nothing to boot: no %s", s.Name,
			missing)
	default:
		x.Wrong("deltaup pull fills it; until then deltaup mark-bad "+s.Name,
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
		x.Good("slot %s has kernel and initrd", s.Name)
	case !errors.Is(err, ErrNotWhole):
		x.Unknown("", "%v", err)
	case state.IsBad(s.Name):
		x.Unknown("deltaup pull fills it", "%v", err)
	case s.Name == state.Next():
		x.Wrong("the next restart may be the last: deltaup repair, or deltaup mark-active of "+
			"another slot, restart, deltaup pull", "%v", err)
	default:
		x.Wrong("deltaup mark-bad "+s.Name+", so that "+x.d.loader.Name()+
			" does not fall back to it; the next deltaup pull fills it", "%v", err)
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
		if s.Name != state.Next() && !state.IsBad(s.Name) && state.FellBack() != s.Name &&
			x.d.bootable(s.Name) == nil {
			others = append(others, s.Name)
		}
	}
	if len(others) == 0 {
		x.Unknown("the next deltaup pull makes one", "there is no slot to fall back to beside %s",
			state.Next())
		return
	}
	x.Good("%s can fall back from %s to %v", x.d.loader.Name(), state.Next(), others)
}

// stateFolder looks whether what is written there outlives a reboot.
func (x *doctor) stateFolder() {
	place, err := x.d.Machine.FileSystem(x.d.Config.State)
	if err != nil {
		x.Unknown("the first update makes the folder", "%s: %v", x.d.Config.State, err)
		return
	}
	switch place.Type {
	case "overlay", "tmpfs", "ramfs", "squashfs", "rootfs":
		x.Wrong("let state be on the data partition: "+
			"what is there is lost with the slot or the reboot",
			"%s lies on %s", x.d.Config.State, place.Type)
	default:
		x.Good("%s lies on %s", x.d.Config.State, place.Type)
	}
}

// Sound wraps ErrUnsound when something is wrong.
func Sound(findings loader.Findings) error {
	n := 0
	for _, f := range findings {
		if f.Level == loader.Wrong {
			n++
		}
	}
	if n > 0 {
		return fmt.Errorf("%w: %d of %d findings", ErrUnsound, n, len(findings))
	}
	return nil
}
