package mkimage

import (
	"strings"

	"deltaup/mkimage/squashfs"
	"deltaup/mkimage/tree"
)

// tree gives the image's tree for the writer, when all contents have their places.
func (b *builder) tree() *squashfs.Entry {
	t := treeMaker{
		b:      b,
		inodes: make(map[string]*squashfs.Inode, len(b.recipe.Entries)),
		hot:    hotInodes(b.recipe),
	}
	root := t.take("")
	root.Children = t.folder("")
	return &root
}

// treeMaker turns the list of entries into a tree.
type treeMaker struct {
	b      *builder
	next   int // index of the entry that comes next
	inodes map[string]*squashfs.Inode
	hot    map[string]int // rank of an entry, from 1 on
}

// folder takes all that is below path: entries are in path order, so a folder's names follow it.
func (t *treeMaker) folder(path string) []squashfs.Entry {
	var children []squashfs.Entry
	for t.next < len(t.b.recipe.Entries) {
		e := &t.b.recipe.Entries[t.next]
		parent, name := splitPath(e.Path)
		if parent != path {
			break
		}
		child := t.take(name)
		if e.Type == tree.Directory {
			child.Children = t.folder(e.Path)
		}
		children = append(children, child)
	}
	return children
}

// take makes the next entry.
func (t *treeMaker) take(name string) squashfs.Entry {
	e := &t.b.recipe.Entries[t.next]
	t.next++
	if e.Link != "" {
		return squashfs.Entry{Name: name, Inode: t.inodes[e.Link]}
	}
	inode := &squashfs.Inode{Attr: e.Attr, Hot: t.hot[e.Path]}
	if e.Content != nil {
		inode.Data = t.b.data[e.Content] // none for an empty file
	}
	t.inodes[e.Path] = inode
	return squashfs.Entry{Name: name, Inode: inode}
}

// splitPath takes the last name off a path; the root's own is its folder.
func splitPath(path string) (parent, name string) {
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		return path[:i], path[i+1:]
	}
	return "", path
}
