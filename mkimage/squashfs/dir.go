package squashfs

import (
	"bytes"
	"fmt"
	"io"
	"strconv"

	"deltaup/mkimage/tree"
)

// dirItem is one name of a listing.
type dirItem struct {
	name   []byte // valid until the next item is read
	ref    inodeRef
	number uint32
	typ    tree.Type
}

// dirReader reads the names in a directory in the order of the listing.
type dirReader struct {
	cur  metaCursor
	left int64 // plain bytes of the listing that are left
	run  dirHeader
	more int // entries of run that are left
	name [NameMax]byte
}

// readDir starts reading the directory n.
func (m *Image) readDir(n *Node) *dirReader {
	return &dirReader{
		cur:  m.cursor(&m.dirs, n.dir.start),
		left: max(0, int64(n.dir.size)-dirSizeExtra),
	}
}

// next gives the next name, or io.EOF after the last one.
func (l *dirReader) next() (dirItem, error) {
	if l.more == 0 {
		if l.left == 0 {
			return dirItem{}, io.EOF
		}
		if err := l.take(&l.run, dirHeaderSize); err != nil {
			return dirItem{}, err
		}
		n, err := l.run.entries()
		if err != nil {
			return dirItem{}, err
		}
		l.more = n
	}
	l.more--
	var e dirEntry
	if err := l.take(&e, dirEntrySize); err != nil {
		return dirItem{}, err
	}
	n, err := e.nameLen()
	if err != nil {
		return dirItem{}, err
	}
	name := l.name[:n]
	if l.left < int64(n) {
		return dirItem{}, l.overrun()
	}
	l.left -= int64(n)
	if err := l.cur.read(name); err != nil {
		return dirItem{}, err
	}
	if err := checkName(name); err != nil {
		return dirItem{}, err
	}
	return dirItem{
		name:   name,
		ref:    makeRef(int64(l.run.Block), int(e.Offset)),
		number: l.run.Number + uint32(int32(e.Delta)),
		typ:    tree.Type(e.Type),
	}, nil
}

// take reads a record of size bytes of the listing into r.
func (l *dirReader) take(r any, size int) error {
	if l.left < int64(size) {
		return l.overrun()
	}
	l.left -= int64(size)
	return l.cur.record(r, size)
}

func (l *dirReader) overrun() error {
	return fmt.Errorf("%w: listing ends within an entry", ErrCorrupt)
}

// checkName refuses a name that no directory can have.
func checkName(name []byte) error {
	if bytes.IndexByte(name, '/') >= 0 || bytes.IndexByte(name, 0) >= 0 || string(name) == "." ||
		string(name) == ".." {
		return fmt.Errorf("%w: name %q", ErrCorrupt, name)
	}
	return nil
}

// child reads the inode of a name, and demands that name and inode agree.
func (m *Image) child(item dirItem, path string) (*Node, error) {
	n, err := m.node(item.ref, path)
	if err != nil {
		return nil, err
	}
	if n.Type != item.typ || n.Inode != item.number {
		return nil, fmt.Errorf(
			"%w: %s: directory says inode %d of type %d, inode says %d of type %d", ErrCorrupt,
			quote(path), item.number, item.typ, n.Inode, n.Type)
	}
	return n, nil
}

func joinPath(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
}

// quote quotes a path from an image for a message.
func quote(path string) string { return strconv.Quote(path) }
