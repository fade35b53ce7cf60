package settings

import (
	"slices"
	"strings"
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

	shipped Cause = "defaults" // no generation: what an image has
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
	Base, Local, Image Entry  // the three versions; all have the same Path. Gone: there was none
	Remarks            []string
}

// Which version a conflict has taken.
const (
	takenLocal  = "local"
	TakenImage  = "image"
	TakenMerged = "merged" // a part of each
)

// Path is the path in conflict.
func (c *Conflict) Path() string { return c.Local.Path }

// Entry finds the entry of a path; nil when the image's default counts there.
func (g *Generation) Entry(path string) *Entry { return find(g.Entries, path) }

// find finds an entry among sorted ones.
func find(entries []Entry, path string) *Entry {
	i, ok := slices.BinarySearchFunc(entries, path, func(e Entry, path string) int {
		return strings.Compare(e.Path, path)
	})
	if !ok {
		return nil
	}
	return &entries[i]
}

func sortEntries(entries []Entry) {
	sortBy(entries, func(e *Entry) string { return e.Path })
}

// sameEntries tells whether two lists of entries are the same, defaults included.
func sameEntries(a, b []Entry) bool {
	return slices.EqualFunc(a, b, func(a, b Entry) bool { return a.identical(&b) })
}

func sameConflicts(a, b []Conflict) bool {
	return slices.EqualFunc(a, b, func(a, b Conflict) bool {
		return a.Taken == b.Taken && a.Base.identical(&b.Base) && a.Local.identical(&b.Local) &&
			a.Image.identical(&b.Image) && slices.Equal(a.Remarks, b.Remarks)
	})
}
