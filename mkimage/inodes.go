package mkimage

import (
	"strings"

	"deltaup/mkimage/squashfs"
	"deltaup/mkimage/tree"
)

// tree gives the image's tree for the writer, once all contents have their places.
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

// treeMaker makes a tree of the list of entries.
type treeMaker struct {
	b      *builder
	next   int // index of the next entry
	inodes map[string]*squashfs.Inode
	hot    map[string]int // ranks of hotInodes, by path
}

// folder takes all entries below path. They follow the folder's own, since entries are in path
// order.
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
		inode.Data = t.b.data[e.Content] // nil for an empty file
	}
	t.inodes[e.Path] = inode
	return squashfs.Entry{Name: name, Inode: inode}
}

// splitPath splits a path into the folder and the last name. The folder of the root is the root.
func splitPath(path string) (parent, name string) {
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		return path[:i], path[i+1:]
	}
	return "", path
}
