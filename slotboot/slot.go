package slotboot

import (
	"errors"
	"os"
)

// ErrBusy is wrapped when a slot is mounted, in use by a loop device, or open in another deltaup.
var ErrBusy = errors.New("slot is in use")

// Slot is a file or a block device that one image is written to.
type Slot struct {
	f *os.File
}

// Options says how to open a slot.
type Options struct {
	ReadOnly bool // only look: nothing is created or locked
}

// Open opens the slot at path.
func Open(path string, o Options) (*Slot, error) { panic("unbuilt") }
