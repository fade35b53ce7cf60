package rootfs

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"deltaup/mkimage/tree"
)

// ErrTooLarge is wrapped when a tree exceeds the limits of this package. These bound the time and
// memory of reading, whatever the input claims.
var ErrTooLarge = errors.New("too large")

// Limits of a whole tree. They are far above any root file system, and a machine with 8 GiB of
// memory can handle them. Names that a later entry of an archive replaces count too.
const (
	namesMax  = 8 << 20   // names
	textMax   = 512 << 20 // bytes of all paths and targets of symbolic links
	xattrsMax = 128 << 20 // bytes of all distinct sets of extended attributes
	sizeMax   = 256 << 30 // bytes of all contents, with holes, since all are hashed byte by byte
	stepsMax  = 1 << 30   // names looked up to find the places of an archive's entries
)

// budget counts what a tree takes of the limits on memory.
type budget struct {
	names, text, xattrs int
	sets                map[[sha256.Size]byte][]tree.Xattr
}

// take counts one name and its text.
func (b *budget) take(path, target string) error {
	b.names++
	b.text += len(path) + len(target)
	switch {
	case b.names > namesMax:
		return fmt.Errorf("%w: more than %d names", ErrTooLarge, namesMax)
	case b.text > textMax:
		return fmt.Errorf("%w: more than %d MiB of paths and link targets", ErrTooLarge,
			textMax>>20)
	}
	return nil
}

// intern gives one and the same set for all equal sets.
func (b *budget) intern(set []tree.Xattr) ([]tree.Xattr, error) {
	if len(set) == 0 {
		return nil, nil
	}
	h := sha256.New()
	n := 0
	var length [16]byte
	for _, x := range set {
		binary.LittleEndian.PutUint64(length[:8], uint64(len(x.Name)))
		binary.LittleEndian.PutUint64(length[8:], uint64(len(x.Value)))
		h.Write(length[:])
		h.Write([]byte(x.Name))
		h.Write(x.Value)
		n += len(x.Name) + len(x.Value)
	}
	key := [sha256.Size]byte(h.Sum(nil))
	if known, ok := b.sets[key]; ok {
		return known, nil
	}
	if b.xattrs += n; b.xattrs > xattrsMax {
		return nil, fmt.Errorf("%w: more than %d MiB of different extended attributes", ErrTooLarge,
			xattrsMax>>20)
	}
	if b.sets == nil {
		b.sets = make(map[[sha256.Size]byte][]tree.Xattr)
	}
	b.sets[key] = set
	return set, nil
}

// checkSize refuses contents that would take hours to read.
func checkSize(entries []tree.Entry) error {
	var total int64
	largest := 0
	for i := range entries {
		e := &entries[i]
		if e.Type != tree.Regular || e.Link != "" {
			continue
		}
		if e.Size > entries[largest].Size {
			largest = i
		}
		if total += e.Size; e.Size > sizeMax || total > sizeMax {
			return tooLong(entries[largest].Path, entries[largest].Size)
		}
	}
	return nil
}

// tooLong is the error for contents that are too large. It names the file that exceeds the limit,
// or the largest one.
func tooLong(path string, size int64) error {
	return fmt.Errorf("%w: more than %d GiB of contents, holes included; %s alone has %d bytes",
		ErrTooLarge, sizeMax>>30, show(path), size)
}
