// Package loader has the words that boot loaders and their user share: what a setup asks for, what
// an inspection tells, and the errors that decide what to do. The interface of a boot loader is
// Loader in package device, which uses it. Each boot loader is a package of its own beside this
// one, such as grub.
package loader

import (
	"errors"

	"deltaup/internal/undo"
	"deltaup/slotboot/counted"
)

var (
	// ErrNone is wrapped when the boot loader has no state of the slots yet: nobody has set it up.
	ErrNone = errors.New("the boot loader is not set up")
	// ErrDamaged is wrapped when the state is there and cannot be used. A setup mends it.
	ErrDamaged = errors.New("the boot loader's state is damaged")
	// ErrForeign is wrapped when something else lies in the place of the state. A setup leaves it
	// alone: it may be somebody's file.
	ErrForeign = errors.New("something else lies in the place of the boot loader's state")
	// ErrUnfit is wrapped when the boot loader could not use a state where the configuration has
	// it.
	ErrUnfit = errors.New("not a place for the boot loader's state")
	// ErrUnknown is wrapped when it cannot be found out how the boot loader sees that place.
	ErrUnknown = errors.New("it is not known how the boot loader sees it")
	// ErrBusy is wrapped when another setup is under way.
	ErrBusy = errors.New("another update is under way")
	// ErrOutput is wrapped when a setup is asked for a file that the boot loader does not have, or
	// that cannot be written where it is wanted.
	ErrOutput = errors.New("not a place for a script")
)

// Mark gives err, in its own words, as one of the errors above.
func Mark(err, kind error) error { return &marked{err, kind} }

type marked struct {
	error
	kind error
}

func (m *marked) Unwrap() []error { return []error{m.error, m.kind} }

// Setup says what a setup is to do.
type Setup struct {
	// First is applied to the state that is there, or to one that knows nothing.
	First counted.Transition
	// Outputs are paths of files to write, by what they are: each boot loader has names for its
	// own. When there are none, the boot loader chooses what it needs.
	Outputs map[string]string
	// Undo learns how each step is taken back, even those of a setup that fails.
	Undo *undo.List
}
