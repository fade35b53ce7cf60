package device

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"

	"deltaup/slotboot/config"
	"deltaup/slotboot/counted"
)

// first is the transition of a state that was just made: it gets an id, and a slot that boots at
// first. A state that has an active slot keeps it.
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

// chooseFirst makes the running slot active, or the one that was named, and marks the empty ones
// bad. None is active as long as all are empty.
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
