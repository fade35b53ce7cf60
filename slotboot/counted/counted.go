// Package counted is the state of a counted boot and what may happen to it. A slot
// boots on trial a limited number of times; GRUB counts each before it starts the
// kernel, and boots the active slot again when nobody has marked the trial good.
//
// The state lives in GRUB's environment block. Userspace changes it with [Update]
// and one of the transitions of [State]; each changes all of the state by one
// write of one sector. GRUB changes one byte of it, see [Select], the Go model
// of the script that package grub writes.
//
//	s, err := counted.Update(ctx, env, slots, func(s counted.State) (counted.State, error) {
//		return s.Activate("b", 3)
//	})
package counted

import (
	"context"
	"errors"
)

// MaxTries is the largest number of tries that a trial can have: GRUB cannot count,
// so that its script names each number.
const MaxTries = 9

var (
	// ErrUnknownSlot is wrapped when a slot is not among the configured ones.
	ErrUnknownSlot = errors.New("no such slot")
	// ErrNotTrial is wrapped when a slot is to be marked good that is neither active nor on trial.
	ErrNotTrial = errors.New("slot is not on trial")
	// ErrBad is wrapped when a bad slot is to be marked good or active.
	ErrBad = errors.New("slot is marked bad")
	// ErrLastGood is wrapped when a change would leave no slot to boot.
	ErrLastGood = errors.New("no other good slot")
	// ErrSlots is wrapped when a set of slot names is not usable.
	ErrSlots = errors.New("slot names")
)

// Slots are the names of all slots, in the order in which GRUB tries them when
// nothing else decides. A name is a lower-case letter and up to 14 more letters, digits or "_".
type Slots []string

// Validate wraps ErrSlots when there are fewer than 2 or more than 8 names, or a name is not
// usable or repeated.
func (s Slots) Validate() error { return errNotBuilt }

// Outcome is how GRUB ended a trial that was not marked good.
type Outcome string

const (
	Unconfirmed Outcome = "unconfirmed" // all tries were started, none was marked good
	Unloadable  Outcome = "unloadable"  // GRUB could not load its kernel or initrd
)

// State is what GRUB and userspace know of the slots. The zero State knows nothing.
type State struct {
	Slots  Slots    // as configured, not stored
	Active string   // the slot that was marked good last; empty when the environment block does not tell
	Trial  string   // the slot on trial, or that was; empty when there is none
	Tries  int      // how often GRUB will still start the trial
	Ended  Outcome  // not empty: GRUB has ended the trial and booted Active
	Bad    []string // slots that GRUB does not boot unless nothing else does, in the order of Slots
}

// Pending tells whether GRUB will start the trial, or is to end it, at the next boot.
func (s State) Pending() bool { return s.Trial != "" && s.Ended == "" }

// FellBack is the slot whose trial GRUB has ended, or "".
func (s State) FellBack() string {
	if s.Ended == "" {
		return ""
	}
	return s.Trial
}

// IsBad tells whether slot is marked bad.
func (s State) IsBad(slot string) bool { return false }

// Read is the state in the environment block at path.
func Read(path string, slots Slots) (State, error) { return State{}, errNotBuilt }

// Update applies change to the state in the environment block at path and stores what it
// returns by one in-place write; nothing is written when nothing changes, or change
// fails. It returns the new state. Other users of the block are locked out meanwhile.
func Update(ctx context.Context, path string, slots Slots, change func(State) (State, error)) (State, error) {
	return State{}, errNotBuilt
}

// Activate puts slot on trial for the next tries (1 to MaxTries) boots and takes its bad
// mark away. It replaces a trial that is pending. A slot that is active already is
// refused with ErrNotTrial; MarkActive ends the trial of another slot.
func (s State) Activate(slot string, tries int) (State, error) { return s, errNotBuilt }

// MarkGood makes slot, which is the one that booted, active when it is on trial; ErrNotTrial
// is wrapped when it is neither on trial nor active already. Nothing changes for an active slot.
func (s State) MarkGood(slot string) (State, error) { return s, errNotBuilt }

// MarkActive makes slot active without a trial, because an operator says so, and
// ends any trial. ErrBad is wrapped for a slot that is marked bad.
func (s State) MarkActive(slot string) (State, error) { return s, errNotBuilt }

// MarkBad keeps GRUB from booting slot: because it does not work, or because it is about to be
// overwritten. A trial of it ends at the next boot, which gets deltaup.fellback; for the active slot the first other
// good one becomes active, and ErrLastGood is wrapped when there is none.
func (s State) MarkBad(slot string) (State, error) { return s, errNotBuilt }

// Choice is what GRUB does on one boot.
type Choice struct {
	Slot     string // whose kernel is started; empty when none can be loaded
	FellBack string // deltaup.fellback= of that boot: the slot that would have been booted
	Env      []byte // the environment block afterwards
}

// Machine is what GRUB finds on a boot.
type Machine struct {
	Slots    Slots
	Env      []byte          // the file with the environment block; nil: there is none
	ReadOnly bool            // GRUB cannot write it
	Loads    map[string]bool // the slots whose kernel and initrd GRUB can load
}

// Select is the model of the script that package grub writes: what GRUB does on m.
func Select(m Machine) Choice { return Choice{} }
