package patchset

import (
	"bytes"
	"math"
	"slices"

	"deltaup/chunkstore"
	"deltaup/mkimage"
	"deltaup/mkimage/squashfs"
	"deltaup/mkimage/tree"
)

// Flags of an entry: what differs from its pattern, or from nothing when it has none.
const (
	flagLink = 1 << iota
	flagAttr
	flagTime
	flagTarget
	flagXattrs
	flagContent
	flagsEnd
)

// How a content is told.
const (
	contentEmpty = iota
	contentNew   // size, id and chunk list follow
	contentOld   // one of the old release
	contentMade  // told before, by contentNew or contentRecut
	contentRecut // one of the old release with another chunk list
	contentKinds
)

// Forms of a chunk list: left out; none or one chunk that is the content; otherwise the number of chunks plus one.
const (
	listPending = iota
	listImplied
)

// Forms of a chunk: a hole, a new chunk, otherwise a zigzag step from the old chunk after the last one told, plus two.
const (
	chunkHole = iota
	chunkNew
	chunkOld
)

// How the list of entries goes on after a number of patterns that are kept.
const (
	stepInsert = iota
	stepDelete
)

// ledger is what writer and reader of a recipe's patch both know at each point. Everything in here is
// a function of what was written so far.
type ledger struct {
	from, to *mkimage.Recipe
	renamed  map[string]string
	contents []*chunkstore.Content // of from
	chunks   []chunkstore.Chunk    // of from
	empty    *chunkstore.Content   // of empty files: one for all, as Validate demands
	made     []*chunkstore.Content // told by the patch so far

	times       map[uint32]uint32 // what a modification time of the old release last became
	last        tree.Entry        // the entry before that is no hard link
	lastContent int               // index of the content of from told last, plus one
	lastChunk   int               // likewise
}

func newLedger(from, to *mkimage.Recipe) *ledger {
	l := &ledger{from: from, to: to, times: make(map[uint32]uint32),
		contents: slices.Collect(from.Contents()), chunks: from.Chunks()}
	l.empty = &chunkstore.Content{ID: chunkstore.Sum(nil)}
	for i := range from.Entries {
		if c := from.Entries[i].Content; c != nil && c.Size == 0 {
			l.empty = c
			break
		}
	}
	return l
}

// expect gives what an entry most likely is. Its path is not set.
func (c *ledger) expect(p *pattern) mkimage.Entry {
	if p == nil {
		return mkimage.Entry{Entry: tree.Entry{Attr: squashfs.Attr{
			Type: c.last.Type, Mode: c.last.Mode, UID: c.last.UID, GID: c.last.GID, ModTime: c.last.ModTime}}}
	}
	e := *p.Entry
	if e.Link != "" {
		if path, ok := c.renamed[e.Link]; ok {
			e.Link = path
		}
	}
	if t, ok := c.times[e.ModTime]; ok {
		e.ModTime = t
	} else if e.ModTime == c.from.ModTime {
		e.ModTime = c.to.ModTime
	}
	return e
}

// told takes note of an entry.
func (c *ledger) told(p *pattern, e *mkimage.Entry) {
	if e.Link != "" {
		return
	}
	c.last = e.Entry
	if p != nil {
		c.times[p.ModTime] = e.ModTime
	}
}

// recipeWriter writes the patch from one recipe to another.
type recipeWriter struct {
	*columns
	*ledger
	pending map[*chunkstore.Content]bool // contents whose chunk lists are left out

	contentAt map[chunkstore.ID]int // in contents
	chunkAt   map[chunkstore.ID]int // in chunks
	madeAt    map[*chunkstore.Content]int
}

// writeRecipe appends the patch from one recipe to another to the columns.
func writeRecipe(c *columns, from, to *mkimage.Recipe, renames []rename, pending map[*chunkstore.Content]bool) {
	w := &recipeWriter{columns: c, ledger: newLedger(from, to), pending: pending,
		contentAt: make(map[chunkstore.ID]int), chunkAt: make(map[chunkstore.ID]int), madeAt: make(map[*chunkstore.Content]int)}
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
	w.number(colHeader, uint64(len(to.Entries)))
	w.number(colHeader, uint64(len(to.First)))
}

// entries merges the patterns with the new entries, both in path order.
func (w *recipeWriter) entries(renames []rename) {
	var list []pattern
	list, w.renamed = patterns(w.from, renames)
	kept, path := 0, ""
	for i := range w.to.Entries {
		e := &w.to.Entries[i]
		for len(list) > 0 && tree.Compare(list[0].path, e.Path) < 0 {
			w.number(colSteps, uint64(kept))
			w.number(colSteps, stepDelete)
			kept, list = 0, list[1:]
		}
		if len(list) > 0 && list[0].path == e.Path {
			kept++
			w.entry(&list[0], e)
			list = list[1:]
		} else {
			w.number(colSteps, uint64(kept))
			w.number(colSteps, stepInsert)
			kept = 0
			shared := commonPrefix(path, e.Path)
			w.number(colPaths, uint64(shared))
			w.text(colPaths, e.Path[shared:])
			w.entry(nil, e)
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

// entry writes what differs from the pattern.
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
	if e.Type != x.Type || e.Mode != x.Mode || e.UID != x.UID || e.GID != x.GID || e.Major != x.Major || e.Minor != x.Minor {
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
	if !slices.EqualFunc(e.Xattrs, x.Xattrs, func(a, b squashfs.Xattr) bool { return a.Name == b.Name && bytes.Equal(a.Value, b.Value) }) {
		flags |= flagXattrs
		w.number(colTexts, uint64(len(e.Xattrs)))
		for _, a := range e.Xattrs {
			w.text(colTexts, a.Name)
			w.text(colTexts, string(a.Value))
		}
	}
	if e.Type == squashfs.Regular && !sameContent(e.Content, x.Content) {
		flags |= flagContent
		w.content(x.Content, e.Content)
	}
	return flags
}

// sameContent tells whether two contents have the same bytes and chunks; either may be nil.
func sameContent(a, b *chunkstore.Content) bool {
	return a == b || a != nil && b != nil && a.ID == b.ID && slices.Equal(a.Chunks, b.Chunks)
}

// content writes a content that is not the pattern's, x, which may be nil.
func (w *recipeWriter) content(x, c *chunkstore.Content) {
	if c.Size == 0 {
		w.number(colContents, contentEmpty)
		return
	}
	if n, ok := w.madeAt[c]; ok {
		w.number(colContents, contentMade)
		w.number(colContents, uint64(len(w.made)-1-n))
		return
	}
	old, ok := w.contentAt[c.ID]
	if ok {
		kind := uint64(contentOld)
		if recut := !sameContent(w.contents[old], c); recut {
			kind = contentRecut
		}
		w.number(colContents, kind)
		w.signed(colContents, int64(old-w.lastContent))
		w.lastContent = old + 1
		if kind == contentOld {
			return
		}
	} else {
		w.number(colContents, contentNew)
		size := int64(0)
		if x != nil {
			size = x.Size
		}
		w.signed(colSizes, c.Size-size)
		w.id(c.ID)
	}
	w.madeAt[c] = len(w.made)
	w.made = append(w.made, c)
	w.chunkList(c)
}

func (w *recipeWriter) chunkList(c *chunkstore.Content) {
	switch {
	case w.pending[c]:
		w.number(colChunks, listPending)
		return
	case len(c.Chunks) == 1 && c.Chunks[0].ID == c.ID:
		w.number(colChunks, listImplied)
		return
	}
	w.number(colChunks, uint64(len(c.Chunks))+listImplied)
	for _, k := range c.Chunks {
		at, old := w.chunkAt[k.ID]
		switch {
		case k.IsHole():
			w.number(colChunks, chunkHole)
			w.number(colChunks, uint64(k.Size))
		case old:
			step := int64(at - w.lastChunk)
			w.number(colChunks, uint64(step<<1^step>>63)+chunkOld)
			w.lastChunk = at + 1
		default:
			w.number(colChunks, chunkNew)
			w.number(colChunks, uint64(k.Size))
			w.id(k.ID)
		}
	}
}

// order writes the paths that lead the data area: 0 for the one that follows in the old list, otherwise an entry's index plus one.
func (w *recipeWriter) order() {
	at := paths(w.to)
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
			w.number(colOrder, uint64(at[p])+1)
		}
		if ok {
			next = i + 1
		}
	}
}

// path gives the path that one of the old tree has after the renames.
func (c *ledger) path(old string) string {
	if p, ok := c.renamed[old]; ok {
		return p
	}
	return old
}

// sizeMax bounds the sum of all contents, so that it cannot overflow.
const sizeMax = math.MaxInt64 / 4
