package squashfs

import "fmt"

// A directory's listing is runs of a dirHeader and its entries, in the directory
// table's metadata; names are in byte order over all runs.

// dirRunMax is how many entries a dirHeader may have.
const dirRunMax = 256

// dirSizeExtra is what a directory inode's size is above its listing's plain bytes.
const dirSizeExtra = 3

// dirHeader starts a run of entries whose inodes lie in one metadata block.
type dirHeader struct {
	Count  uint32 // entries that follow, less 1
	Block  uint32 // the inodes' metadata block, relative to the inode table
	Number uint32 // the entries' inode numbers are relative to this
}

// entries is how many entries follow, 1 to dirRunMax.
func (h *dirHeader) entries() (int, error) {
	if h.Count >= dirRunMax {
		return 0, fmt.Errorf("%w: directory run of %d entries", ErrCorrupt, int64(h.Count)+1)
	}
	return int(h.Count) + 1, nil
}

// dirEntry is one name; NameSize + 1 bytes of it follow, without a zero byte.
type dirEntry struct {
	Offset   uint16 // of the inode in the plain metadata block
	Delta    int16  // inode number less dirHeader.Number
	Type     uint16 // Type of the inode: always the basic one
	NameSize uint16 // bytes of the name, less 1
}

// nameLen is how many bytes of name follow, 1 to NameMax.
func (e *dirEntry) nameLen() (int, error) { return nameLen(uint32(e.NameSize)) }

// dirIndex tells an extended directory inode's reader where a run starts, so that a
// lookup need not go through the whole listing; NameSize + 1 bytes of the run's first name follow.
type dirIndex struct {
	Index uint32 // plain bytes of the listing before the run's dirHeader
	// metadata block in which that dirHeader starts, relative to the directory table
	Block    uint32
	NameSize uint32 // bytes of the name, less 1
}

// nameLen is how many bytes of name follow, 1 to NameMax.
func (x *dirIndex) nameLen() (int, error) { return nameLen(x.NameSize) }

func nameLen(stored uint32) (int, error) {
	if stored >= NameMax {
		return 0, fmt.Errorf("%w: name of %d bytes", ErrCorrupt, int64(stored)+1)
	}
	return int(stored) + 1, nil
}
