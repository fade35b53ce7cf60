package grubenv

import "context"

// Create makes the file at path hold an empty block, durably: GRUB, which replays no
// journal, finds it too. A file that is there already is left as it is when it
// holds a block, and is an error otherwise.
func Create(path string) error { return errNotBuilt }

// Read is the block that the file at path holds.
func Read(path string) (*Block, error) { return nil, errNotBuilt }

// Update lets change alter the block in the file at path and writes it back: in
// place, with one write of Size bytes and one fsync, because GRUB does not see a
// renamed file before its file system's journal is replayed. What change leaves as it was
// is not written. The file is locked meanwhile; ctx ends the wait for the lock. An
// error of change is returned as it is, and nothing is written.
func Update(ctx context.Context, path string, change func(*Block) error) error { return errNotBuilt }
