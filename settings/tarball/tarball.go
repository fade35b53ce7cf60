// Package tarball reads and writes tar archives of settings. Package archive/tar would add 176 kB to
// the command for targets; this one knows what backups of settings have: files, folders and links,
// with owner, mode and extended attributes, in the formats v7, ustar, GNU and pax.
//
// The formats are those of POSIX.1-2017 (pax, "ustar Interchange Format" and "pax Header Block") and
// of the GNU tar manual ("Basic Tar Format").
package tarball

import (
	"errors"
)

// Kind is what an entry is.
type Kind byte

// The types of entries. All others, such as devices, are Other.
const (
	File   Kind = '0'
	Hard   Kind = '1' // a hard link; Target is the name of an entry before it
	Link   Kind = '2' // a symbolic link
	Folder Kind = '5'
	Other  Kind = 0
)

// Entry is one file of an archive.
type Entry struct {
	Name     string // as it stands there; the end "/" of a folder's is cut off
	Type     Kind
	Mode     uint32 // permission bits with 07000
	UID, GID uint32
	Size     int64 // of a file's content
	Target   string
	Xattrs   map[string]string // nil: none
}

var (
	// ErrFormat is wrapped when an archive is damaged or none.
	ErrFormat = errors.New("not a tar archive, or a damaged one")
	// ErrUnsupported is wrapped when an archive has what this package does not read: sparse files,
	// parts of a file that goes on in another archive.
	ErrUnsupported = errors.New("unsupported tar archive")
)

const (
	blockSize = 512
	maxName   = 4096    // bytes of a name, as in Linux
	maxExtra  = 1 << 20 // bytes of the records of one entry
)

// The fields of a header, by their places.
const (
	atMode     = 100
	atUID      = 108
	atGID      = 116
	atSize     = 124
	atTime     = 136
	atChecksum = 148
	atType     = 156
	atTarget   = 157
	atMagic    = 257
	atPrefix   = 345
	prefixEnd  = 500
	nameLength = 100
)

// Types of headers that belong to the next entry.
const (
	gnuName   = 'L'
	gnuTarget = 'K'
	paxNext   = 'x'
	paxGlobal = 'g'
)

const xattrKey = "SCHILY.xattr."

// checksum is the sum of a header's bytes, those of the checksum taken as spaces.
func checksum(header []byte) int64 {
	sum := int64(8 * ' ')
	for i, c := range header {
		if i < atChecksum || i >= atChecksum+8 {
			sum += int64(c)
		}
	}
	return sum
}
