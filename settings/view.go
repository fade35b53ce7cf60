package settings

import (
	"context"
	"io"

	"deltaup/chunkstore"
	"deltaup/settings/list"
)

// View is what a machine's settings are now: its image, and the upper folders above that.
type View struct {
	Image   chunkstore.ID
	List    *list.List
	Entries []Entry // what is listed and differs from the image's defaults, sorted by path
	NotKept []Lost  // what differs and is not listed, sorted by path, at most MaxLost
}

// Lost is a change to a path that is not kept: the next boot undoes it.
type Lost struct {
	Path string
	What Change
}

// Change is what happened to a path, compared with the image.
type Change string

// The changes.
const (
	Added   Change = "added"
	Changed Change = "changed"
	Deleted Change = "deleted"
)

// MaxLost bounds how many changes that are not kept are told.
const MaxLost = 10_000

// Live reads the settings of the running machine, whose image is source, as they are now. An upper
// folder belongs to one image: an error wraps ErrNone when nothing is laid for this one.
func (s *Store) Live(ctx context.Context, source *Source) (*View, error) { return nil, errTodo }

// Open opens the content of an entry that is a file, as it is now: that can differ from the entry
// when somebody has written to it since.
func (v *View) Open(e *Entry) (io.ReadCloser, error) { return nil, errTodo }

// Close closes the upper folders.
func (v *View) Close() error { return errTodo }

// Reason is why Commit makes a generation.
type Reason struct {
	Cause   Cause
	Message string // one line, may be empty
	// Resolved are the paths whose conflicts have ended.
	Resolved []string
}

// Commit makes a generation of a view and notes that it is the one that is laid. Its parent is the
// one that was laid, whose conflicts it inherits. The caller holds the store's lock. The error wraps
// ErrUnchanged when neither entries nor conflicts have changed.
func (s *Store) Commit(ctx context.Context, v *View, why Reason) (*Generation, error) {
	return nil, errTodo
}

// Put makes an entry below root, the root of the running machine, so that it is there whole or not
// at all: it makes it under a temporary name in the same folder, and renames it. It makes missing
// folders with mode 0755. A link in place of a folder of the path is an error. Content is that of a
// file, and nil for the rest. When Put returns nil the change is durable.
//
// A folder that is there keeps what is in it. A folder that stands in the way of something else is
// removed with all that is in it, and Gone removes whatever is there.
func Put(root string, e *Entry, content io.Reader) error { return errTodo }
