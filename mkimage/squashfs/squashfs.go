// Package squashfs is the squashfs 4.0 on-disk format: a reader for images of
// any mksquashfs 4.x, hostile ones included, and a writer that lays out stored
// blocks and metadata in the order in which it is told to.
//
// Reading starts with [Open]; writing with [NewWriter]. Neither decides
// anything about order, packing of fragments or compression levels: that is
// package mkimage. The format follows the kernel's fs/squashfs/squashfs_fs.h and
// squashfs-tools-ng's doc/format.adoc; doc/squashfs.md holds the parts used here.
package squashfs

import (
	"errors"
)

var (
	// ErrCorrupt is wrapped by every error about an image that breaks the format.
	ErrCorrupt = errors.New("corrupt squashfs image")
	// ErrUnsupported is wrapped for images that are valid and not readable here (lzo, lzma, format
	// 3).
	ErrUnsupported = errors.New("unsupported squashfs image")
)

// Limits of the format and of this package.
const (
	BlockSizeMin  = 4 << 10
	BlockSizeMax  = 1 << 20
	metaBlockSize = 8 << 10 // plain bytes of a metadata block
	NameMax       = 256     // bytes of one file name (the kernel's SQUASHFS_NAME_LEN)
	// bytes of a symbolic link's target as read; the kernel reads up to a page
	TargetMax = 65535
	IDsMax    = 65535     // distinct owners and groups
	MajorMax  = 1<<12 - 1 // device numbers
	MinorMax  = 1<<20 - 1
	PadSize   = 4 << 10 // an image ends at a multiple of this
)

// Block is one stored piece of file data: a data block of a file or a fragment block.
// A block with Length 0 is a hole: Size zero bytes that are stored nowhere.
type Block struct {
	Offset     int64 // first stored byte in the image
	Length     int   // stored bytes
	Size       int   // plain bytes; for a fragment block the bytes that are used, at most BlockSize
	Compressed bool

	fragment bool // a fragment block: may have fewer plain bytes than Size
}
