package mkimage

import (
	"bytes"
	"strings"

	"deltaup/mkimage/squashfs"
	"deltaup/mkimage/tree"
)

// tree gives the image's tree for the writer, once all contents have their places. It makes each
// entry when the writer asks for it.
func (b *builder) tree() *squashfs.Entry {
	t := treeMaker{b: b, entries: &b.recipe.Entries, hot: hotInodes(b.recipe)}
	root := t.entry(0, nil, 0)
	return &root
}

// treeMaker makes a tree of the list of entries.
type treeMaker struct {
	b       *builder
	entries *Entries
	hot     map[string]int // ranks of hotInodes, by path
}

// list gives the entries in the folder that is entry i.
func (t *treeMaker) list(i int) []squashfs.Entry {
	var children []squashfs.Entry
	w := t.entries.paths.walkFrom(i)
	begin := len(w.path) // of the names in it
	folder := bytes.Clone(w.path)
	if begin > 0 {
		begin++
		folder = append(folder, '/')
	}
	for w.next() && bytes.HasPrefix(w.path, folder) {
		if bytes.IndexByte(w.path[begin:], '/') < 0 { // not in a folder below
			children = append(children, t.entry(w.index, w.path, begin))
		}
	}
	return children
}

// entry makes entry i, whose name begins at a place in its path.
func (t *treeMaker) entry(i int, path []byte, name int) squashfs.Entry {
	e := t.entries.entry(i, string(path))
	id := i
	if e.Link != "" {
		id, _ = t.entries.Find(e.Link)
		e = t.entries.At(id)
	}
	inode := &squashfs.Inode{Attr: e.Attr, Hot: t.hot[e.Path], ID: id + 1}
	if e.Size > 0 {
		inode.Data = &t.b.data[t.entries.more[id]>>moreShift]
	}
	made := squashfs.Entry{Name: string(path[name:]), Inode: inode}
	if e.Type == tree.Directory {
		made.List = func() []squashfs.Entry { return t.list(i) }
	}
	return made
}

// splitPath splits a path into the folder and the last name. The folder of the root is the root.
func splitPath(path string) (parent, name string) {
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		return path[:i], path[i+1:]
	}
	return "", path
}
