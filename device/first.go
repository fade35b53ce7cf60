package device

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"slices"

	"deltaup/internal/durable"
	"deltaup/slotboot/config"
	"deltaup/slotboot/counted"
	"deltaup/slotboot/grubenv"
)

// makeBlock makes the environment block of a machine whose slots are empty.
func (d *Device) makeBlock(ctx context.Context) error {
	if err := durable.MkdirAll(filepath.Dir(d.blockPath())); err != nil {
		return err
	}
	block, err := grubenv.Find(d.blockPath())
	if err != nil {
		return err
	}
	return d.applyFirst(ctx, block, "", "")
}

// applyFirst gives the environment block its first content; what it says of slots stays.
func (d *Device) applyFirst(ctx context.Context, block *grubenv.Place,
	booted, active string) error {
	err := block.Apply(ctx, func(b *grubenv.Block) error {
		_, err := counted.Change(b, d.names(), func(s counted.State) (counted.State, error) {
			if s.ID == "" {
				s.ID = newID()
			}
			if s.Active != "" {
				return s, nil
			}
			return d.first(s, booted, active)
		})
		return err
	})
	return blockError(err)
}

// first chooses the slot that boots at first, and marks the empty ones bad. There is none as long
// as all are empty.
func (d *Device) first(s counted.State, booted, active string) (counted.State, error) {
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

// newID is random; GRUB passes it to the kernel as deltaup.env=, which proves that it reads the
// environment block that is written here.
func newID() string {
	id := make([]byte, 4)
	rand.Read(id) // never fails
	return hex.EncodeToString(id)
}
