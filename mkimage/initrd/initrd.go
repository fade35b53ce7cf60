// Package initrd takes a Linux initrd apart and puts it together again, so that its
// files travel as contents like those of an image:
//
//	initrd --NewRecipe--> recipe             (publisher: unpacks it once)
//	recipe + contents --Build--> new initrd  (publisher and every target: the same bytes)
//
// An initrd is a row of cpio archives, plain or compressed. The new one has the same
// archives byte for byte; what was compressed, whoever did it, is compressed again as
// Zstandard by a codec that the [Recipe] names. So it differs from the old one, and it is
// the new one that is published and booted. The package does not look for contents; the
// caller's mkimage.Source does. Format of recipes and rules of archives: doc/initrd.md.
package initrd

import (
	"errors"
	"fmt"

	"deltaup/chunkstore"
	"deltaup/mkimage/internal/recipetext"
)

// ErrUnsupported is wrapped when an initrd can't be taken apart: an unknown compression,
// bytes that belong to no archive, a damaged stream. It can still be published as it is.
var ErrUnsupported = errors.New("the initrd can't be taken apart")

// Recipe is everything but content that decides an initrd's bytes.
type Recipe struct {
	Codec    string            // id of level and encoder generation, see CodecFor
	Chunking chunkstore.Params // how contents were cut
	Segments []Segment
}

// Segment is a part of an initrd that is plain, or compressed as one Zstandard frame.
// No plain one follows another.
type Segment struct {
	Packed   bool // compressed
	Archives []Archive
	Zeros    int64 // zero bytes after the last archive's trailer
}

// Archive is one cpio archive in the "newc" format.
type Archive struct {
	Zeros   int64    // zero bytes between what comes before in the segment and the first header
	CRC     bool     // magic 070702 instead of 070701
	Lower   bool     // header digits a to f instead of A to F
	Members []Member // in order; the last is the trailer, which nothing else is named like
}

// Member is one header of an archive with name and data. The header's fields are kept as they
// are, meaningful or not. All times are in seconds since 1970.
type Member struct {
	Name                 string // without the final NUL, with any others before it
	Mode                 uint32 // type and permissions as in stat(2), at most 16 bits
	UID, GID             uint32
	ModTime              uint32
	Links, Inode         uint32
	DevMajor, DevMinor   uint32 // of the file system that it came from
	RDevMajor, RDevMinor uint32 // of a device
	Check                uint32 // with magic 070702: the sum of the data's bytes
	Target               string // of a symlink
	// of a regular file that has data, else nil; shared by members with the same bytes
	Content *chunkstore.Content
}

// Limits of what is read, from initrds and from recipes. A kernel unpacks to memory.
const (
	segmentsMax = 1 << 10
	archivesMax = 1 << 10 // in one segment
	membersMax  = 1 << 18 // in all
	plainMax    = 4 << 30 // bytes of all archives and zeros
	nameMax     = 4095    // bytes, and a NUL: the kernel's PATH_MAX
	targetMax   = 4096    // bytes: the same, no NUL needed
)

// File types in a mode, as in stat(2).
const (
	modeType   = 0o170000
	modeSocket = 0o140000
	modeLink   = 0o120000
	modeFile   = 0o100000
	modeBlock  = 0o060000
	modeDir    = 0o040000
	modeChar   = 0o020000
	modePipe   = 0o010000
	modeMax    = 1<<16 - 1
)

// trailerName is the name of every archive's last member.
const trailerName = "TRAILER!!!"

func (m *Member) isTrailer() bool { return m.Name == trailerName }

func (m *Member) isDevice() bool {
	t := m.Mode & modeType
	return t == modeBlock || t == modeChar
}

// size is the number of the data's bytes.
func (m *Member) size() int64 {
	switch {
	case m.Content != nil:
		return m.Content.Size
	default:
		return int64(len(m.Target))
	}
}

// unsupported is an error that wraps ErrUnsupported.
func unsupported(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrUnsupported}, args...)...)
}

// corrupt is an error about a recipe that wraps chunkstore.ErrCorrupt.
func corrupt(format string, args ...any) error { return recipetext.Corrupt(format, args...) }
