package device

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"

	"deltaup/slotboot/config"
	"deltaup/slotboot/counted"
)

// first is the transition of a setup: it gives a state its id, and a slot that boots at first,
// unless the state has them.
func (d *Device) first(booted, active string) counted.Transition {
	return func(s counted.State) (counted.State, error) {
		if s.ID == "" {
			s.ID = newID()
		}
		if s.Active != "" {
			return s, nil
		}
		return d.chooseFirst(s, booted, active)
	}
}

// chooseFirst makes the running slot active, or the named one, and marks the empty ones bad. While
// all are empty none is active.
func (d *Device) chooseFirst(s counted.State, booted, active string) (counted.State, error) {
	var err error
	switch {
	case booted != "":
		active = booted
	case active != "":
		if err := d.bootable(active); err != nil {
			return s, err
		}
	case d.firstBootable() != "":
		return s, fmt.Errorf("%w: the machine runs from none", ErrNoActive)
	}
	if active != "" {
		if s, err = s.MarkActive(active); err != nil {
			return s, err
		}
	}
	for _, slot := range d.Config.Slots {
		if slot.Name != active && !d.hasKernel(&slot) {
			if s, err = s.MarkBad(slot.Name); err != nil {
				return s, err
			}
		}
	}
	return s, nil
}

// firstBootable is the first slot with a kernel and an initrd; "" when there is none.
func (d *Device) firstBootable() string {
	for _, s := range d.Config.Slots {
		if d.hasKernel(&s) {
			return s.Name
		}
	}
	return ""
}

// othersBootable tells whether another slot has a kernel and an initrd.
func (d *Device) othersBootable(slot string) bool {
	return slices.ContainsFunc(d.Config.Slots,
		func(s config.Slot) bool { return s.Name != slot && d.hasKernel(&s) })
}

// newID is random: no two states that were made have the same id.
func newID() string {
	id := make([]byte, 4)
	rand.Read(id) // never fails
	return hex.EncodeToString(id)
}
