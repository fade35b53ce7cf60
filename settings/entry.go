package settings

import (
	"fmt"
	"slices"

	"deltaup/chunkstore"
)

// Kind is what an entry is.
type Kind string

// The kinds of entries.
const (
	File   Kind = "file"   // a regular file
	Folder Kind = "folder" // without what is in it
	Link   Kind = "link"   // a symbolic link
	Gone   Kind = "gone"   // a path of the image that the machine has removed
)

// Entry is one path of a tree of settings, with all that is kept of it. Times are not kept.
type Entry struct {
	Path     string // absolute, clean, below no symbolic link
	Kind     Kind
	Mode     uint32        // permission bits with 07000; 0 for Link and Gone
	UID, GID uint32        // 0 for Gone
	Xattrs   []Xattr       // of a file or a folder, sorted by name
	Size     int64         // bytes of a file
	Content  chunkstore.ID // of a file, also an empty one
	Target   string        // of a link
	// Default is the ID of the entry that the image has at this path; the zero ID: none. It is not
	// part of what the entry itself is.
	Default chunkstore.ID
}

// Xattr is an extended attribute.
type Xattr struct{ Name, Value string }

// id names what the entry is: BLAKE3-256 of its line in a generation without path and default.
// Gone has the zero ID.
func (e *Entry) id() chunkstore.ID {
	if e.Kind == Gone {
		return chunkstore.ID{}
	}
	return chunkstore.Sum(e.append(nil))
}

// same tells whether two entries are the same, whatever their paths and defaults are.
func (e *Entry) same(o *Entry) bool {
	return e.Kind == o.Kind && e.Mode == o.Mode && e.UID == o.UID && e.GID == o.GID &&
		e.Size == o.Size && e.Content == o.Content && e.Target == o.Target && slices.Equal(e.Xattrs, o.Xattrs)
}

// String is the entry's line without its default.
func (e *Entry) String() string { return fmt.Sprintf("%s %s", e.Path, e.append(nil)) }

// identical is same of path and default as well.
func (e *Entry) identical(o *Entry) bool {
	return e.Path == o.Path && e.Default == o.Default && e.same(o)
}

// none is the entry of a path where nothing is.
func none(path string) *Entry { return &Entry{Path: path, Kind: Gone} }
