package patchset

import (
	"bytes"
	"slices"

	"deltaup/chunkstore"
	"deltaup/mkimage"
	"deltaup/mkimage/tree"
)

// recipeWriter writes the patch from one recipe to another.
type recipeWriter struct {
	*columns
	*ledger
	pending map[*chunkstore.Content]bool // contents whose chunk lists the patch leaves out
	version uint32                       // of the format

	contentAt map[chunkstore.ID]int // index in contents
	chunkAt   map[chunkstore.ID]int // index in chunks
	madeAt    map[*chunkstore.Content]int
}

// writeRecipe appends the patch from one recipe to another to c.
func writeRecipe(c *columns, from, to *mkimage.Recipe, renames []rename,
	pending map[*chunkstore.Content]bool, version uint32) {
	w := &recipeWriter{columns: c, ledger: newLedger(from, to), pending: pending, version: version,
		contentAt: make(
			map[chunkstore.ID]int,
		), chunkAt: make(map[chunkstore.ID]int), madeAt: make(map[*chunkstore.Content]int)}
	w.chunks = from.Chunks()
	for i, k := range w.contents {
		w.contentAt[k.ID] = i
	}
	for i, k := range w.chunks {
		w.chunkAt[k.ID] = i
	}
	w.header()
	w.number(colRenames, uint64(len(renames)))
	for _, r := range renames {
		w.text(colRenames, r.old)
		w.text(colRenames, r.new)
	}
	w.entries(renames)
	w.order()
}

func (w *recipeWriter) header() {
	to := w.to
	w.number(colHeader, uint64(to.BlockSize))
	w.text(colHeader, to.Codec)
	w.number(colHeader, uint64(to.ModTime))
	for _, n := range []int{to.Chunking.Min, to.Chunking.Average, to.Chunking.Max} {
		w.number(colHeader, uint64(n))
	}
	w.number(colHeader, uint64(to.Entries.Len()))
	w.number(colHeader, uint64(len(to.First)))
}

// entries writes the new entries against the patterns, both in path order.
func (w *recipeWriter) entries(renames []rename) {
	var list []pattern
	list, w.renamed = patterns(w.from, renames)
	kept, path := 0, ""
	for _, e := range w.to.Entries.All() {
		for len(list) > 0 && tree.Compare(w.pathOf(&list[0]), e.Path) < 0 {
			w.number(colSteps, uint64(kept))
			w.number(colSteps, stepDelete)
			kept, list = 0, list[1:]
		}
		if len(list) > 0 && w.pathOf(&list[0]) == e.Path {
			kept++
			w.entry(&list[0], &e)
			list = list[1:]
		} else {
			w.number(colSteps, uint64(kept))
			w.number(colSteps, stepInsert)
			kept = 0
			shared := commonPrefix(path, e.Path)
			w.number(colPaths, uint64(shared))
			w.text(colPaths, e.Path[shared:])
			w.entry(nil, &e)
		}
		path = e.Path
	}
	w.number(colSteps, uint64(kept))
}

func commonPrefix(a, b string) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

// entry writes what differs from the pattern in an entry.
func (w *recipeWriter) entry(p *pattern, e *mkimage.Entry) {
	x := w.expect(p)
	flags := byte(0)
	if e.Link != x.Link {
		flags |= flagLink
		w.text(colTexts, e.Link)
	}
	if e.Link == "" {
		flags |= w.inode(&x, e)
	}
	w.byte(colFlags, flags)
	w.told(p, e)
}

func (w *recipeWriter) inode(x, e *mkimage.Entry) (flags byte) {
	if e.Type != x.Type || e.Mode != x.Mode || e.UID != x.UID || e.GID != x.GID ||
		e.Major != x.Major ||
		e.Minor != x.Minor {
		flags |= flagAttr
		for _, n := range []uint32{uint32(e.Type), uint32(e.Mode), e.UID, e.GID, e.Major, e.Minor} {
			w.number(colAttrs, uint64(n))
		}
	}
	if e.ModTime != x.ModTime {
		flags |= flagTime
		w.signed(colTimes, int64(e.ModTime)-int64(w.last.ModTime))
	}
	if e.Target != x.Target {
		flags |= flagTarget
		w.text(colTexts, e.Target)
	}
	if !slices.EqualFunc(
		e.Xattrs,
		x.Xattrs,
		func(a, b tree.Xattr) bool { return a.Name == b.Name && bytes.Equal(a.Value, b.Value) },
	) {
		flags |= flagXattrs
		w.number(colTexts, uint64(len(e.Xattrs)))
		for _, a := range e.Xattrs {
			w.text(colTexts, a.Name)
			w.text(colTexts, string(a.Value))
		}
	}
	if e.Type == tree.Regular && !sameContent(e.Content, x.Content) {
		flags |= flagContent
		w.content(x.Content, e.Content)
	}
	return flags
}

// order writes Recipe.First: 0 for the path that follows in the old list, otherwise an entry's
// index plus one.
func (w *recipeWriter) order() {
	place := make(map[string]int)
	for i, p := range w.from.First {
		place[w.path(p)] = i
	}
	next := 0
	for _, p := range w.to.First {
		i, ok := place[p]
		if ok && i == next {
			w.number(colOrder, 0)
		} else {
			at, _ := w.to.Entries.Find(p)
			w.number(colOrder, uint64(at)+1)
		}
		if ok {
			next = i + 1
		}
	}
}
