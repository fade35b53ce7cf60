// Package squashfs reads and writes the squashfs 4.0 format. It reads images of any mksquashfs 4.x,
// also hostile ones. It writes stored blocks and metadata in the order that its caller chooses.
//
// Reading begins with [Open] or [Find], writing with [NewWriter]. Package mkimage decides about
// order, packing of fragments and compression levels. Sources of the format: the kernel's
// fs/squashfs/squashfs_fs.h and squashfs-tools-ng's doc/format.adoc. doc/squashfs.md has the parts
// that this package uses.
package squashfs

import (
	"errors"
)

var (
	// ErrCorrupt is wrapped by every error about an image that violates the format.
	ErrCorrupt = errors.New("corrupt squashfs image")
	// ErrUnsupported is wrapped by errors about images that may be valid but that this package
	// cannot read (lzo, lzma, format 3).
	ErrUnsupported = errors.New("unsupported squashfs image")
)

// Limits of the format and of this package.
const (
	BlockSizeMin  = 4 << 10
	BlockSizeMax  = 1 << 20
	metaBlockSize = 8 << 10 // plain bytes of a metadata block
	NameMax       = 256     // bytes of one file name (the kernel's SQUASHFS_NAME_LEN)
	// most bytes of a symbolic link's target when reading; the kernel reads up to a page
	TargetMax = 65535
	IDsMax    = 65535     // distinct owners and groups
	MajorMax  = 1<<12 - 1 // largest major device number
	MinorMax  = 1<<20 - 1
	PadSize   = 4 << 10 // an image's size is a multiple of this
)

// Block is one stored block of data: a data block of a file or a fragment block. A block with
// Length 0 is a hole: Size zero bytes that are not stored.
type Block struct {
	Offset     int64 // offset of the first stored byte in the image
	Length     int   // stored bytes
	Size       int   // plain bytes; for a fragment block the most that it may have
	Compressed bool

	fragment bool // a fragment block, which may have fewer plain bytes than Size
}
