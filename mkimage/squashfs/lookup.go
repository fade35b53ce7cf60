package squashfs

import (
	"fmt"
	"io"
	"io/fs"
	"strings"

	"deltaup/mkimage/tree"
)

// Lookup finds one path, written as in Node.Path. It does not follow symbolic links. Its error
// wraps fs.ErrNotExist when there is no such path.
func (m *Image) Lookup(path string) (*Node, error) {
	n, err := m.node(m.root, "")
	if err != nil {
		return nil, err
	}
	if n.Type != tree.Directory {
		return nil, fmt.Errorf("%w: the root is no directory", ErrCorrupt)
	}
	for rest := path; rest != ""; {
		var name string
		var below bool
		name, rest, below = strings.Cut(rest, "/")
		if n.Type != tree.Directory || below && rest == "" {
			return nil, fmt.Errorf("%s: %w", quote(path), fs.ErrNotExist)
		}
		item, err := m.find(n, name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", quote(path), err)
		}
		if n, err = m.child(item, joinPath(n.Path, name)); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// find gives the item with a name in directory n. Like Linux it does not demand that names are in
// order, but an index can only tell where to look if they are.
func (m *Image) find(n *Node, name string) (dirItem, error) {
	l := m.readDir(n)
	indexed := n.dir.indexes > 0
	if indexed {
		if err := m.skipTo(l, n, name); err != nil {
			return dirItem{}, fmt.Errorf("directory index: %w", err)
		}
	}
	for {
		item, err := l.next()
		if err == io.EOF {
			return dirItem{}, fs.ErrNotExist
		}
		if err != nil || string(item.name) == name {
			return item, err
		}
		if indexed && string(item.name) > name {
			return dirItem{}, fs.ErrNotExist
		}
	}
}

// skipTo moves l from the beginning of directory n to the last run in n's index that does not begin
// after name.
func (m *Image) skipTo(l *dirReader, n *Node, name string) error {
	cur := m.cursor(&m.inodes, n.dir.index)
	var run dirIndex
	var first []byte // first name of the run
	var buf [NameMax]byte
	for range n.dir.indexes {
		var x dirIndex
		if err := cur.record(&x, dirIndexSize); err != nil {
			return err
		}
		size, err := x.nameLen()
		if err != nil {
			return err
		}
		if err := cur.read(buf[:size]); err != nil {
			return err
		}
		if string(buf[:size]) > name {
			break
		}
		run, first = x, append(first[:0], buf[:size]...)
	}
	if first == nil {
		return nil
	}
	if int64(run.Index) > l.left {
		return fmt.Errorf("%w: a run at %d of %d bytes", ErrCorrupt, run.Index, l.left)
	}
	// All blocks of the table except the last are full.
	offset := (int64(n.dir.start.offset()) + int64(run.Index)) % metaBlockSize
	l.left -= int64(run.Index)
	l.cur = m.cursor(&m.dirs, makeRef(int64(run.Block), int(offset)))
	ahead := *l
	item, err := ahead.next()
	if err != nil && err != io.EOF {
		return err
	}
	if string(item.name) != string(first) {
		return fmt.Errorf("%w: a run begins with %q, not with %q", ErrCorrupt, item.name, first)
	}
	return nil
}
