package squashfs

import (
	"cmp"

	"deltaup/mkimage/tree"
)

// hotEntry is an entry whose inode is hot.
type hotEntry struct{ e, parent *Entry }

// warm notes a hot inode, and that the directory with it is hot.
func (f *finisher) warm(e, parent *Entry) {
	n := f.node(e.Inode)
	if n.hot == 0 {
		return
	}
	f.hot = append(f.hot, hotEntry{e, parent})
	if parent == nil {
		return
	}
	if up := f.node(parent.Inode); up.hot == 0 || up.hot > n.hot {
		up.hot = n.hot
	}
}

// compareHot orders hot inodes: first all that are no directories, in the order of their use; then
// the directories, the one that is used first, the root, at the end. One that is used as early as
// another is below it when its number is higher.
func (f *finisher) compareHot(a, b hotEntry) int {
	x, y := f.node(a.e.Inode), f.node(b.e.Inode)
	i, j := f.numbers[a.e.Inode], f.numbers[b.e.Inode]
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
