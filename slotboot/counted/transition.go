package counted

import (
	"fmt"
	"slices"
)

// Activate puts slot on trial for the next tries (1 to MaxTries) boots and takes its bad mark away.
// It replaces a trial that is pending. ErrNotTrial is wrapped for the active slot: MarkActive ends
// the trial of another. An active slot that is bad can be put on trial all the same; the first
// other good one becomes active then, as in MarkBad, or none when there is no such slot.
func (s State) Activate(slot string, tries int) (State, error) {
	if err := s.known("activate", slot); err != nil {
		return s, err
	}
	if tries < 1 || tries > MaxTries {
		return s, fmt.Errorf("activate slot %s: %d tries, not 1 to %d", slot, tries, MaxTries)
	}
	if slot == s.Active {
		if !s.IsBad(slot) {
			return s, fmt.Errorf("activate slot %s: %w: it is active", slot, ErrNotTrial)
		}
		s.Active = s.otherGood(slot)
	}
	s = s.withBad(slot, false).Settled(slot)
	s.Trial, s.Tries, s.Ended = slot, tries, ""
	return s, nil
}

// Install puts a slot on trial that was filled and read back, as Activate does. When no slot is
// active there is none to fall back to, and the slot becomes active at once.
func (s State) Install(slot string, tries int) (State, error) {
	first := s.Active == ""
	s, err := s.Activate(slot, tries)
	if err == nil && first {
		s = s.active(slot)
	}
	return s, err
}

// MarkGood makes the slot that has booted active: when it is on trial, when no slot is known to be
// active, or when the active one is bad. If it is active already, only its fault is forgotten.
// ErrNotTrial is wrapped for any other slot, and ErrBad for one that is marked bad.
func (s State) MarkGood(slot string) (State, error) {
	if err := s.known("mark good", slot); err != nil {
		return s, err
	}
	if s.IsBad(slot) {
		return s, fmt.Errorf("mark slot %s good: %w", slot, ErrBad)
	}
	if slot == s.Active {
		return s.Settled(slot), nil
	}
	if s.Active != "" && !s.IsBad(s.Active) && !(s.Pending() && slot == s.Trial) {
		return s, fmt.Errorf("mark slot %s good: %w", slot, ErrNotTrial)
	}
	return s.active(slot), nil
}

// MarkActive makes slot active without a trial, because an operator says so, and ends any trial.
// ErrBad is wrapped for a slot that is marked bad.
func (s State) MarkActive(slot string) (State, error) {
	if err := s.known("mark active", slot); err != nil {
		return s, err
	}
	if s.IsBad(slot) {
		return s, fmt.Errorf("mark slot %s active: %w", slot, ErrBad)
	}
	return s.active(slot), nil
}

// MarkBad keeps the boot loader from booting slot: because it does not work, or because it is about
// to be overwritten. A pending trial of it ends at the next boot. In place of the active slot the
// first other good one that is not on trial becomes active. ErrLastGood is wrapped when there is
// none, and for the last good slot beside an active one that is bad.
func (s State) MarkBad(slot string) (State, error) {
	if err := s.known("mark bad", slot); err != nil {
		return s, err
	}
	if slot == s.Active || s.Active != "" && s.IsBad(s.Active) {
		other := s.otherGood(slot)
		if other == "" && !s.IsBad(slot) {
			return s, fmt.Errorf("mark slot %s bad: %w", slot, ErrLastGood)
		}
		if slot == s.Active && other != "" {
			s.Active = other
		}
	}
	if slot == s.Trial {
		s.Tries = 0
	}
	return s.Settled(slot).withBad(slot, true), nil
}

func (s State) known(op, slot string) error {
	if !slices.Contains(s.Slots, slot) {
		return fmt.Errorf("%s: %w: %q", op, errUnknownSlot, slot)
	}
	return nil
}

// active is s with slot active and no trial.
func (s State) active(slot string) State {
	s = s.Settled(slot)
	s.Active, s.Trial, s.Tries, s.Ended = slot, "", 0, ""
	return s
}

// withBad is s with the mark of slot as told, and a Bad of its own.
func (s State) withBad(slot string, bad bool) State {
	var marks []string
	for _, name := range s.Slots {
		if name == slot && bad || name != slot && s.IsBad(name) {
			marks = append(marks, name)
		}
	}
	s.Bad = marks
	return s
}
