package device

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"deltaup/slotboot/config"
	"deltaup/slotboot/counted"
)

// target is the slot that the next image goes to. It is neither the running slot nor a pinned one.
// One whose installation was cut off comes first, so that the update goes on where it was; then an
// empty one, then one that is damaged or marked bad, then the oldest.
func (d *Device) target(state counted.State, r *records, booted string) (*config.Slot, error) {
	var free []*config.Slot
	var pinned []string
	for i := range d.Config.Slots {
		s := &d.Config.Slots[i]
		switch {
		case s.Name == booted:
		case r.slot(s.Name).Pinned:
			pinned = append(pinned, s.Name)
		default:
			free = append(free, s)
		}
	}
	if len(free) == 0 {
		return nil, fmt.Errorf("%w to write to: pinned: %s", ErrNoSlot, strings.Join(pinned, ", "))
	}
	scrubs, _ := d.scrubs() // a damaged file tells of no scrub
	// rank is lowest for the slot that can best be spared.
	rank := func(s *config.Slot) int {
		rec := r.slot(s.Name)
		switch {
		case !rec.Whole && !rec.Image.IsZero():
			return 0
		case !rec.Whole:
			return 1
		case scrubs.damaged(s.Name, rec), state.IsBad(s.Name), state.FellBack() == s.Name:
			return 2
		case s.Name != state.Next():
			return 3
		}
		return 4
	}
	return slices.MinFunc(free, func(a, b *config.Slot) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)),
			cmp.Compare(r.slot(a.Name).Order, r.slot(b.Name).Order))
	}), nil
}

// Select gives the name of the slot that people call booted, other, or by its name. It wraps
// ErrNoSlot when there is no such slot, or several others.
func (d *Device) Select(what string) (string, error) {
	switch what {
	case "booted":
		return d.Booted()
	case "other":
		booted, err := d.Booted()
		if err != nil {
			return "", err
		}
		var others []string
		for _, s := range d.Config.Slots {
			if s.Name != booted {
				others = append(others, s.Name)
			}
		}
		if len(others) != 1 {
			return "", fmt.Errorf("%w: other could be any of %s", ErrNoSlot,
				strings.Join(others, ", "))
		}
		return others[0], nil
	}
	s, err := d.slot(what)
	if err != nil {
		return "", err
	}
	return s.Name, nil
}
