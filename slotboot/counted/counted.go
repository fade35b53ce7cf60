// Package counted is the state of a counted boot and what may happen to it. A slot
// boots on trial a limited number of times; GRUB counts each before it starts the
// kernel, and boots the active slot again when nobody has marked the trial good.
//
// The state lives in GRUB's environment block. Userspace changes it with [Update]
// and one of the transitions of [State]; each changes all of the state by one
// write of one sector. GRUB changes one byte of it, see [Select], the Go model
// of the script that package grub writes. The initramfs changes the first sector, see
// [NoteFailed], the model of what its script does.
//
//	s, err := counted.Update(ctx, env, slots, func(s counted.State) (counted.State, error) {
//		return s.Activate("b", 3)
//	})
package counted

import "errors"

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
	// ErrID is wrapped when State.ID has other characters than letters and digits.
	ErrID = errors.New("id of the environment block")
	// ErrSlots is wrapped when a set of slot names is not usable.
	ErrSlots = errors.New("slot names")
)

// Slots are the names of all slots, in the order in which GRUB tries them when
// nothing else decides. A name is a lower-case letter and up to 14 more letters, digits or "_".
type Slots []string

// Outcome is how GRUB ended a trial that was not marked good.
type Outcome string

const (
	Unconfirmed Outcome = "unconfirmed" // all tries were started, none was marked good
	Unloadable  Outcome = "unloadable"  // GRUB could not load its kernel or initrd
)

// State is what GRUB and userspace know of the slots. The zero State knows nothing.
type State struct {
	Slots Slots // as configured, not stored
	// the slot that was marked good last; empty when the environment block does not tell
	Active string
	Trial  string  // the slot on trial, or that was; empty when there is none
	Tries  int     // how often GRUB will still start the trial
	Ended  Outcome // not empty: GRUB has ended the trial and booted Active
	// what deltaup.env= tells userspace, so that it knows which block GRUB has read: letters and
	// digits
	ID    string
	Bad   []string // slots that GRUB does not boot unless nothing else does, in the order of Slots
	Fault Fault    // what the initramfs noted last
}

// Pending tells whether GRUB will start the trial, or is to end it, at the next boot.
func (s State) Pending() bool { return s.Trial != "" && s.Ended == "" }

// FellBack is the slot that the machine runs without: the active one when the initramfs has given
// it up, or the one whose trial GRUB has ended, or "".
func (s State) FellBack() string {
	if s.Active != "" && s.IsBad(s.Active) {
		return s.Active
	}
	if s.Ended == "" {
		return ""
	}
	return s.Trial
}
