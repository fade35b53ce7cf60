package squashfs

import (
	"cmp"

	"deltaup/mkimage/tree"
)

// hotEntry is an entry with a hot inode, and its folder's entry.
type hotEntry struct{ e, parent *Entry }

// warm notes a hot inode, and makes its directory hot.
func (f *finisher) warm(e, parent *Entry) {
	n := f.node(e.Inode)
	if n.hot == 0 {
		return
	}
	f.hot = append(f.hot, &hotEntry{e, parent})
	if parent == nil {
		return
	}
	if up := f.node(parent.Inode); up.hot == 0 || up.hot > n.hot {
		up.hot = n.hot
	}
}

// compareHot orders hot inodes: first all except directories, in the order of their use, then the
// directories, with the one used first, the root, at the end. Of two directories used at the same
// time the one with the higher number lies below the other and comes first.
func (f *finisher) compareHot(a, b *hotEntry) int {
	x, y := f.node(a.e.Inode), f.node(b.e.Inode)
	i, j := f.number(a.e.Inode), f.number(b.e.Inode)
	switch isDir := a.e.Inode.Type == tree.Directory; {
	case isDir != (b.e.Inode.Type == tree.Directory):
		if isDir {
			return 1
		}
		return -1
	case isDir:
		return cmp.Or(cmp.Compare(y.hot, x.hot), cmp.Compare(j, i))
	}
	return cmp.Or(cmp.Compare(x.hot, y.hot), cmp.Compare(i, j))
}
