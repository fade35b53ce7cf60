package squashfs

import "fmt"

// A directory's listing lies in the metadata of the directory table. It consists of runs, each a
// dirHeader and its entries. The names of all runs together are in byte order.

// dirRunMax is how many entries a run has at most.
const dirRunMax = 256

// dirSizeExtra is by how much the size in a directory's inode exceeds the plain bytes of the
// listing.
const dirSizeExtra = 3

// dirHeader begins a run of entries, whose inodes lie in one metadata block.
type dirHeader struct {
	Count  uint32 // entries that follow, less 1
	Block  uint32 // position of the inodes' metadata block, relative to the inode table
	Number uint32 // inode number to which those of the entries are relative
}

// entries gives the number of entries that follow, 1 to dirRunMax.
func (h *dirHeader) entries() (int, error) {
	if h.Count >= dirRunMax {
		return 0, fmt.Errorf("%w: directory run of %d entries", ErrCorrupt, int64(h.Count)+1)
	}
	return int(h.Count) + 1, nil
}

// dirEntry is one entry. NameSize + 1 bytes of the name follow, without a zero byte.
type dirEntry struct {
	Offset   uint16 // offset of the inode in the plain metadata block
	Delta    int16  // inode number less dirHeader.Number
	Type     uint16 // type of the inode, always that of the basic inode
	NameSize uint16 // bytes of the name, less 1
}

// nameLen is how many bytes of name follow, 1 to NameMax.
func (e *dirEntry) nameLen() (int, error) { return nameLen(uint32(e.NameSize)) }

// dirIndex is an entry in the index of an extended directory inode. It says where a run begins, so
// that a lookup need not read the whole listing. NameSize + 1 bytes of the run's first name follow.
type dirIndex struct {
	Index uint32 // plain bytes of the listing before the run's dirHeader
	// position of the metadata block in which that dirHeader begins, relative to the directory
	// table
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
