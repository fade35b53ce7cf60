package patchset

import (
	"slices"

	"deltaup/chunkstore"
)

// sameContent tells whether two contents, which may be nil, have the same bytes and chunks.
func sameContent(a, b *chunkstore.Content) bool {
	return a == b || a != nil && b != nil && a.ID == b.ID && slices.Equal(a.Chunks, b.Chunks)
}

// content writes a content that differs from the pattern's, x, which may be nil.
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
		if w.version <= versionIDs || !w.pending[c] {
			w.id(c.ID)
		}
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
