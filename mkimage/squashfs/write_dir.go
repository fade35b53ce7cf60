package squashfs

import (
	"fmt"
	"math"
)

// listing says where the listing of a directory lies.
type listing struct {
	ref     inodeRef // reference into the directory table
	size    int64    // plain bytes
	index   []byte   // dirIndex records with their names
	indexes int      // number of records in index
}

// writeDir writes the listing and the inode of a directory, after the inodes of all its children.
func (f *finisher) writeDir(e, parent *Entry) error {
	e.load() // of a hot directory they are not there any more
	defer e.unload()
	l, err := f.writeListing(e.children)
	if err != nil {
		return err
	}
	if l.size+dirSizeExtra > math.MaxUint32 {
		return fmt.Errorf("directory listing of %d bytes, at most 4 GiB", l.size)
	}
	// Like mksquashfs, give the root's parent a number that no inode has: 0 would hide ".." from
	// some programs.
	up := uint32(len(f.nodes)) + 1
	if parent != nil {
		up = f.number(parent.Inode)
	}
	n := f.node(e.Inode)
	size := uint32(l.size + dirSizeExtra)
	b := f.record[:0]
	if l.indexes > 0 || size > math.MaxUint16 || n.xattr != noXattr {
		b = marshal(b, &extDirInode{
			inodeHeader: f.header(e.Inode, true),
			Links:       n.links,
			Size:        size,
			Block:       uint32(l.ref.block()),
			Parent:      up,
			Indexes:     uint16(l.indexes),
			Offset:      uint16(l.ref.offset()),
			Xattr:       n.xattr,
		})
		b = append(b, l.index...)
	} else {
		b = marshal(b, &dirInode{
			inodeHeader: f.header(e.Inode, false),
			Block:       uint32(l.ref.block()),
			Links:       n.links,
			Size:        uint16(size),
			Offset:      uint16(l.ref.offset()),
			Parent:      up,
		})
	}
	n.ref = f.inodes.ref()
	f.record = b
	return f.inodes.write(b)
}

// writeListing writes the entries of a directory as runs. A listing of more than one metadata block
// gets an index with an entry for each further block, and its runs end where blocks end, so that a
// lookup reads about one block.
func (f *finisher) writeListing(children []Entry) (listing, error) {
	l := listing{ref: f.dirs.ref()}
	indexed := listingSize(children) > metaBlockSize
	last := f.dirs.start // the last block with an index entry
	var b []byte
	for len(children) > 0 {
		run := children[:f.runLength(children, indexed)]
		children = children[len(run):]
		if indexed && f.dirs.start != last && l.indexes < math.MaxUint16 {
			last = f.dirs.start
			l.index = marshal(l.index, &dirIndex{
				Index:    uint32(l.size),
				Block:    uint32(last),
				NameSize: uint32(len(run[0].Name)) - 1,
			})
			l.index = append(l.index, run[0].Name...)
			l.indexes++
		}
		b = f.appendRun(b[:0], run)
		l.size += int64(len(b))
		if err := f.dirs.write(b); err != nil {
			return l, err
		}
	}
	return l, nil
}

// listingSize estimates the plain bytes of the entries. It is never too high.
func listingSize(children []Entry) int {
	n := (len(children) + dirRunMax - 1) / dirRunMax * dirHeaderSize
	for i := range children {
		n += dirEntrySize + len(children[i].Name)
	}
	return n
}

// runLength is how many of the entries can share a header. Their inodes must lie in the same
// metadata block and have numbers near the first one's. With indexed, all entries but the first
// must begin in the current block.
func (f *finisher) runLength(children []Entry, indexed bool) int {
	first := f.node(children[0].Inode)
	number := int64(f.number(children[0].Inode))
	pos := len(f.dirs.plain) + dirHeaderSize
	for i := range children {
		delta := int64(f.number(children[i].Inode)) - number
		if i == dirRunMax || f.node(children[i].Inode).ref.block() != first.ref.block() ||
			delta < math.MinInt16 || delta > math.MaxInt16 ||
			indexed && i > 0 && pos >= metaBlockSize {
			return i
		}
		pos += dirEntrySize + len(children[i].Name)
	}
	return len(children)
}

// appendRun appends a header and its entries.
func (f *finisher) appendRun(b []byte, run []Entry) []byte {
	number := f.number(run[0].Inode)
	b = marshal(b, &dirHeader{
		Count:  uint32(len(run)) - 1,
		Block:  uint32(f.node(run[0].Inode).ref.block()),
		Number: number,
	})
	for i := range run {
		in := run[i].Inode
		b = marshal(b, &dirEntry{
			Offset:   uint16(f.node(in).ref.offset()),
			Delta:    int16(int64(f.number(in)) - int64(number)),
			Type:     uint16(in.Type),
			NameSize: uint16(len(run[i].Name)) - 1,
		})
		b = append(b, run[i].Name...)
	}
	return b
}
