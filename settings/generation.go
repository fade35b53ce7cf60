package settings

import (
	"time"

	"deltaup/chunkstore"
)

// Cause is why a generation was made.
type Cause string

// The causes.
const (
	Booted   Cause = "boot"    // what had changed until a boot
	Merged   Cause = "merge"   // put together with the defaults of another image
	Saved    Cause = "save"    // by settings save
	Restored Cause = "restore" // by settings restore, or resolve
	Imported Cause = "import"
)

// Generation is the settings of a machine at one time, with the image that they belong to: the
// entries that the list keeps and that differ from the image's defaults. It never changes.
type Generation struct {
	Number    int           // from 1
	Parent    int           // 0: none
	Image     chunkstore.ID // fingerprint of the image
	List      chunkstore.ID // object with the list's text
	Time      time.Time     // UTC, whole seconds
	Cause     Cause
	Message   string     // one line, may be empty
	Entries   []Entry    // sorted by path
	Conflicts []Conflict // sorted by path, at most one for each
}

// Conflict is a path that the machine and an image have both changed. Both versions are kept until
// somebody resolves it.
type Conflict struct {
	Taken              string // "local", "image", or "merged" by a fallback
	Base, Local, Image Entry  // the three versions; all have the same Path
	Remarks            []string
}
