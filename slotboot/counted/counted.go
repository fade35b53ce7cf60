// Package counted is counted boot as a pure state machine. A new image boots on trial a limited
// number of times. The boot loader counts each before it starts the kernel, and boots the active
// slot again when nobody has marked the trial good.
//
// A [State] is a value, and every transition is a method that returns the next one:
//
//	s, err := s.Activate("b", 3)
//
// Three write the state: the boot loader counts tries and ends trials, the initramfs notes a boot
// that it cannot carry on ([State.Failed]), and userspace does everything else. How a boot loader
// stores a state, durably and in one step, is the business of its own package.
package counted

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// MaxTries is the largest number of tries that a trial can have. Boot loaders cannot count: their
// scripts have a line for each number, and the stored number is one character.
const MaxTries = 9

const (
	minSlots = 2
	maxSlots = 8
	maxName  = 15
)

var (
	// ErrNotTrial is wrapped when a slot is to be marked good that is neither active nor on trial.
	ErrNotTrial = errors.New("slot is not on trial")
	// ErrBad is wrapped when a bad slot is to be marked good or active.
	ErrBad = errors.New("slot is marked bad")
	// ErrLastGood is wrapped when a change would leave no slot to boot.
	ErrLastGood = errors.New("no other good slot")
	// ErrSlots is wrapped when a set of slot names is not usable.
	ErrSlots = errors.New("slot names")

	errUnknownSlot = errors.New("no such slot")
)

// Slots are the names of all slots, in the order in which the boot loader tries them when nothing
// else decides. A name is a lower-case letter and up to 14 more letters, digits or "_".
type Slots []string

// Validate wraps ErrSlots when there are fewer than 2 or more than 8 names, or a name is not
// usable or repeated.
func (s Slots) Validate() error {
	if len(s) < minSlots || len(s) > maxSlots {
		return fmt.Errorf("%w: %d slots, not %d to %d", ErrSlots, len(s), minSlots, maxSlots)
	}
	for i, name := range s {
		if !validName(name) {
			return fmt.Errorf("%w: %q is not a lower-case letter and up to %d letters, digits or _",
				ErrSlots, name, maxName-1)
		}
		if slices.Contains(s[:i], name) {
			return fmt.Errorf("%w: %s is there twice", ErrSlots, name)
		}
	}
	return nil
}

func validName(name string) bool {
	for i, c := range []byte(name) {
		letter := 'a' <= c && c <= 'z'
		if !letter && (i == 0 || c != '_' && (c < '0' || c > '9')) {
			return false
		}
	}
	return name != "" && len(name) <= maxName
}

// Outcome is how the boot loader ended a trial that nobody marked good.
type Outcome string

const (
	Unconfirmed Outcome = "unconfirmed" // all tries were started, none was marked good
	Unloadable  Outcome = "unloadable"  // the boot loader could not load its kernel or initrd
)

// State is what the boot loader, the initramfs and userspace know of the slots. The zero State
// knows nothing.
type State struct {
	Slots  Slots    // as configured: not stored
	Active string   // the slot that was marked good last; empty when none is known
	Trial  string   // the slot on trial, or the last one that was; empty when there is none
	Tries  int      // how often the boot loader will still start the trial
	Ended  Outcome  // not empty: the boot loader has ended the trial and booted Active
	Bad    []string // slots that boot only when nothing else does, in the order of Slots
	Fault  Fault    // the last failure that the initramfs noted

	// ID is a word of letters and digits that the boot loader hands to the kernel. It proves to
	// userspace that the boot loader has read this state.
	ID string
}

// Transition gives the state that follows one, or an error and no change.
type Transition func(State) (State, error)

// IsBad tells whether slot is marked bad.
func (s State) IsBad(slot string) bool { return slices.Contains(s.Bad, slot) }

// Pending tells whether the next boot starts the trial, or ends it.
func (s State) Pending() bool { return s.Trial != "" && s.Ended == "" }

// OnTrial tells whether a running slot has not been marked good yet. It is false for "".
func (s State) OnTrial(slot string) bool { return slot != "" && s.Pending() && s.Trial == slot }

// FellBack is the slot that the machine runs without: the active one when the initramfs has given
// it up, or the one whose trial the boot loader has ended, or "".
func (s State) FellBack() string {
	if s.Active != "" && s.IsBad(s.Active) {
		return s.Active
	}
	if s.Ended == "" {
		return ""
	}
	return s.Trial
}

// Next is the slot that boots next, if its kernel and initrd can be loaded; "" when the state does
// not tell.
func (s State) Next() string {
	if s.Pending() && s.Tries > 0 && !s.IsBad(s.Trial) {
		return s.Trial
	}
	if s.Active == "" || !s.IsBad(s.Active) {
		return s.Active
	}
	return cmp.Or(s.otherGood(s.Active), s.Slots[0]) // when all are bad, whatever loads
}

// otherGood is the first slot beside slot that is neither bad nor the one of a trial, or "".
func (s State) otherGood(slot string) string {
	for _, name := range s.Slots {
		if name != slot && name != s.Trial && !s.IsBad(name) {
			return name
		}
	}
	return ""
}
