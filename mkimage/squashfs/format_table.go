package squashfs

import (
	"fmt"
	"strings"
)

// A lookup table has records of one size in metadata blocks of metaBlockSize plain bytes, of which
// the last may be shorter. The plain list of the blocks' absolute positions follows, 8 bytes each.
// The superblock has the position of that list, or for xattrs of an xattrTable before it.

// tableBlocks is how many metadata blocks a lookup table of n records takes.
func tableBlocks(n int64, recordSize int) int64 {
	return (n*int64(recordSize) + metaBlockSize - 1) / metaBlockSize
}

// fragmentEntry is a record of the fragment table.
type fragmentEntry struct {
	Start  uint64 // position of the fragment block
	Length uint32 // length word, see parseLengthWord
	Unused uint32 // 0
}

// Extended attributes lie in metadata blocks of their own. The pairs of each distinct set follow
// each other. A pair is an xattrKey with its name and an xattrValue with its bytes.

// xattrKey is the first part of a pair. NameSize bytes follow: the name without its prefix.
type xattrKey struct {
	Type     uint16 // index into xattrPrefixes, perhaps | xattrOutOfLine
	NameSize uint16 // bytes of the name without prefix
}

// xattrValue is the second part of a pair. Size bytes follow. For an out-of-line value Size is
// xattrRefSize, and a reference to an xattrValue elsewhere among the pairs follows.
type xattrValue struct {
	Size uint32 // bytes
}

// xattrID is a record of the xattr id table: one set.
type xattrID struct {
	Ref   uint64 // inodeRef of the first pair, relative to xattrTable.Pairs
	Count uint32 // pairs
	Size  uint32 // plain bytes of the pairs
}

// xattrTable lies before the list of the xattr id table's blocks.
type xattrTable struct {
	Pairs  uint64 // position of the first metadata block of pairs
	Count  uint32 // records of the id table
	Unused uint32 // 0
}

const xattrOutOfLine uint16 = 0x100

// Limits of Linux. No bound of the format is lower.
const (
	XattrNameMax  = 255     // bytes of a name with its prefix
	XattrValueMax = 1 << 16 // bytes of a value
)

// xattrPrefixes are the namespaces that the format knows, by number.
var xattrPrefixes = []string{"user.", "trusted.", "security."}

// splitXattr gives the number of a name's namespace and the rest of the name. ok is false when the
// format has no such namespace.
func splitXattr(name string) (prefix uint16, rest string, ok bool) {
	for i, p := range xattrPrefixes {
		if rest, ok := strings.CutPrefix(name, p); ok && rest != "" {
			return uint16(i), rest, true
		}
	}
	return 0, "", false
}

// prefix gives the namespace of a key and whether its value is out of line.
func (k *xattrKey) prefix() (prefix string, outOfLine bool, err error) {
	n := int(k.Type &^ xattrOutOfLine)
	if n >= len(xattrPrefixes) {
		return "", false, fmt.Errorf("%w: xattr type %#x", ErrCorrupt, k.Type)
	}
	return xattrPrefixes[n], k.Type&xattrOutOfLine != 0, nil
}
