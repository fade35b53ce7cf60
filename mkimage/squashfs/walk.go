package squashfs

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"deltaup/mkimage/tree"
)

// pathMax is the longest path in bytes, four times the longest that Linux can open.
const pathMax = 16 << 10

// Walk calls fn for every name in path order: depth first, the names of a directory in byte order,
// a directory before its content. Each name of a hard link counts. When fn returns fs.SkipDir for a
// directory, Walk leaves out its content; for another type, the rest of the directory that it is
// in. fs.SkipAll ends the walk. Walk returns any other error of fn as it is.
func (m *Image) Walk(fn func(n *Node) error) error {
	root, err := m.Lookup("")
	if err != nil {
		return err
	}
	return m.WalkFrom(root, fn)
}

// WalkFrom is Walk of the subtree of n, with n.
func (m *Image) WalkFrom(n *Node, fn func(n *Node) error) error {
	return m.WalkWanted(n, func(string) bool { return true }, fn)
}

// WalkWanted is WalkFrom of those names below n for which want is true of the path and of all
// folders above it. It does not read the inodes of other names, which may be missing.
func (m *Image) WalkWanted(n *Node, want func(path string) bool, fn func(n *Node) error) error {
	w := walker{
		m:      m,
		want:   want,
		fn:     fn,
		inodes: map[uint32]inodeRef{n.Inode: n.ref},
		blocks: map[int64]struct{}{},
	}
	err := w.visit(n)
	if err == fs.SkipDir || err == fs.SkipAll {
		return nil
	}
	return err
}

// walker is the state of one walk. The metadata in the image bounds its work: it enters no
// directory twice, and so never goes in circles, and the listings together are no longer than the
// blocks in which they lie.
type walker struct {
	m      *Image
	want   func(path string) bool
	fn     func(n *Node) error
	inodes map[uint32]inodeRef // inodes so far, by number
	blocks map[int64]struct{}  // positions of the directory table's blocks that have been read
	listed int64               // plain bytes of listings that have been read
}

func (w *walker) visit(n *Node) error {
	err := w.fn(n)
	if n.Type != tree.Directory {
		return err
	}
	if err == fs.SkipDir {
		return nil
	}
	if err != nil {
		return err
	}
	items, err := w.list(n)
	if err != nil {
		return fmt.Errorf("directory %s: %w", quote("/"+n.Path), err)
	}
	for _, item := range items {
		path := joinPath(n.Path, string(item.name))
		if !w.want(path) {
			continue
		}
		child, err := w.m.child(*item, path)
		if err != nil {
			return err
		}
		if err := w.meet(child); err != nil {
			return err
		}
		err = w.visit(child)
		if err == fs.SkipDir {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// list reads the names in directory n and sorts them.
func (w *walker) list(n *Node) ([]*dirItem, error) {
	var items []*dirItem
	l := w.m.readDir(n)
	for {
		from, before := l.cur.pos, l.left
		item, err := l.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		if len(n.Path)+1+len(item.name) > pathMax {
			return nil, fmt.Errorf("%w: paths of more than %d bytes", ErrUnsupported, pathMax)
		}
		// An entry may begin in one block and end in another.
		w.blocks[from], w.blocks[l.cur.pos] = struct{}{}, struct{}{}
		w.listed += before - l.left
		if w.listed > int64(len(w.blocks))*metaBlockSize {
			return nil, fmt.Errorf("%w: directories share their listings", ErrCorrupt)
		}
		item.name = slices.Clone(item.name)
		items = append(items, &item)
	}
	// Linux accepts names in any order. Sorting names that are in order costs nothing.
	slices.SortFunc(items, func(a, b *dirItem) int { return bytes.Compare(a.name, b.name) })
	for i := 1; i < len(items); i++ {
		if bytes.Equal(items[i].name, items[i-1].name) {
			return nil, fmt.Errorf("%w: name %q twice", ErrCorrupt, items[i].name)
		}
	}
	return items, nil
}

// meet notes an inode. Only names of the same inode may have its number, and a directory has only
// one name.
func (w *walker) meet(n *Node) error {
	ref, met := w.inodes[n.Inode]
	switch {
	case !met:
		w.inodes[n.Inode] = n.ref
	case n.Type == tree.Directory:
		return fmt.Errorf("%w: directory %s has a second name", ErrCorrupt, quote(n.Path))
	case ref != n.ref:
		return fmt.Errorf("%w: two inodes have the number %d, one of them %s", ErrCorrupt, n.Inode,
			quote(n.Path))
	}
	return nil
}
