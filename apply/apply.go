// Package apply carries an update out on a target. [Prepare] fetches a release's
// metadata, looks at the seeds and quotes; [Update.Run] fetches what is missing, rebuilds the
// image into the slot, reads it back and only then writes its superblock.
//
// Everything fetched goes to the state folder first, where the next run finds
// it: a run that is killed at any moment costs no byte twice.
package apply

import "io"

// Slot is the place that an image is written to; slotboot.Slot is one.
type Slot interface {
	io.ReaderAt
	io.WriterAt
	// Capacity is how many bytes fit: a device's size; for a file, what it has plus what its file system has free.
	Capacity() (int64, error)
	// Begin makes the slot unbootable (its first 4 KiB become zero, durably) and sets a file's length.
	Begin(size int64) error
	// Sync makes all writes durable.
	Sync() error
	// DropCache makes later reads come from the medium.
	DropCache() error
	// Name is how messages call it.
	Name() string
}
