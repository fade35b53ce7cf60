// Package initrd takes a Linux initrd apart and puts it together again, so that its files can be
// contents like those of an image:
//
//	initrd --NewRecipe--> recipe             (publisher: unpacks it once)
//	recipe + contents --Build--> new initrd  (publisher and every target: the same bytes)
//
// An initrd is a sequence of cpio archives, plain or compressed. The new initrd has the same
// archives byte for byte. [Build] compresses again whatever was compressed, as Zstandard, by a
// codec that the [Recipe] names. So the new initrd differs from the old one, and the publisher
// publishes the new one. The caller's mkimage.Source finds contents. Format of recipes and rules of
// archives: doc/initrd.md.
package initrd

import (
	"errors"
	"fmt"

	"deltaup/chunkstore"
	"deltaup/mkimage/internal/recipetext"
)

// ErrUnsupported is wrapped when an initrd cannot be taken apart: an unknown compression, bytes
// that belong to no archive, or a damaged stream. A publisher can still publish it as it is.
var ErrUnsupported = errors.New("the initrd can't be taken apart")

// Recipe is everything except contents that decides an initrd's bytes.
type Recipe struct {
	Codec    string            // id of a codec, see codecFor
	Chunking chunkstore.Params // how contents were cut
	Segments []Segment
}

// Segment is a part of an initrd: plain, or compressed as one Zstandard frame. No plain segment
// follows a plain one.
type Segment struct {
	packed   bool // compressed
	Archives []Archive
	zeros    int64 // zero bytes after the last archive's trailer
}

// Archive is one cpio archive in the "newc" format.
type Archive struct {
	// zero bytes before the first header, since the beginning of the segment or the archive before
	zeros   int64
	crc     bool     // magic 070702 instead of 070701
	lower   bool     // header digits a to f instead of A to F
	Members []Member // in order; the last, and no other, is named like the trailer
}

// Member is one header of an archive with its name and data. It has the header's fields as they
// are, meaningful or not. Times are in seconds since 1970.
type Member struct {
	Name                 string // without the final NUL, with NULs before that
	mode                 uint32 // type and permissions as in stat(2), at most 16 bits
	uid, gid             uint32
	modTime              uint32
	links, inode         uint32
	devMajor, devMinor   uint32 // the file system's on which the file was
	rDevMajor, rDevMinor uint32 // a device's number
	check                uint32 // with crc: the sum of the data's bytes
	target               string // of a symlink
	// of a regular file with data, else nil; members with the same bytes share it
	Content *chunkstore.Content
}

// Limits of initrds and recipes. They exceed what a kernel, which unpacks to memory, has room for.
const (
	segmentsMax = 1 << 10
	archivesMax = 1 << 10 // archives in one segment
	membersMax  = 1 << 18 // members in all archives
	plainMax    = 4 << 30 // unpacked bytes of all archives and zeros
	nameMax     = 4095    // bytes: the kernel's PATH_MAX less a NUL
	targetMax   = 4096    // bytes: the kernel's PATH_MAX
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
	t := m.mode & modeType
	return t == modeBlock || t == modeChar
}

// size is the number of bytes of m's data.
func (m *Member) size() int64 {
	switch {
	case m.Content != nil:
		return m.Content.Size
	default:
		return int64(len(m.target))
	}
}

// unsupported is an error that wraps ErrUnsupported.
func unsupported(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrUnsupported}, args...)...)
}

// corrupt is an error about a recipe that wraps chunkstore.ErrCorrupt.
func corrupt(format string, args ...any) error { return recipetext.Corrupt(format, args...) }
