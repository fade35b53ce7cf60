package mirror

import "context"

// Damage is one file of a mirror that is not what it should be.
type Damage struct {
	Name     string   // path relative to the mirror
	What     string   // "is missing", "has 10 of 20 bytes", …
	Releases []string // versions that need it, sorted
}

// CheckReport is what [Check] found.
type CheckReport struct {
	Files        int   // verified
	Bytes        int64 // of them
	Releases     int
	Damaged      []Damage // by name
	Unreferenced []string // files that no release or pointer reaches, by name; not damage
}

// Check reads every file of the mirror in dir and verifies it: pointers, releases, recipes,
// indexes, images, packs and each chunk in them. Damage is in the report; an error
// means that the check itself could not be done. progress, which may be nil, is
// called with the bytes read and the bytes to read, from one goroutine at a time.
func Check(ctx context.Context, dir string, progress func(done, total int64)) (*CheckReport, error) {
	panic("unbuilt")
}
