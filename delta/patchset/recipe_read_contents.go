package patchset

import (
	"encoding/binary"

	"deltaup/chunkstore"
	"deltaup/mkimage"
)

// unlisted tells whether the chunk list of a content is not known.
func unlisted(c *chunkstore.Content) bool { return c.Chunks == nil }

// unlistedOf gives the contents of a recipe with unknown chunk lists.
func unlistedOf(r *mkimage.Recipe) (list []*chunkstore.Content) {
	for c := range r.Contents() {
		if unlisted(c) {
			list = append(list, c)
		}
	}
	return list
}

// content reads a content that differs from the pattern's, x, which may be nil.
func (r *recipeReader) content(x *chunkstore.Content) *chunkstore.Content {
	in := &r.in[colContents]
	kind := in.below(contentKinds)
	var c *chunkstore.Content
	switch kind {
	case contentEmpty:
		return r.empty
	case contentMade:
		n := in.below(len(r.made))
		if in.err != nil {
			return nil
		}
		return r.made[len(r.made)-1-n]
	case contentOld, contentRecut:
		at := int64(r.lastContent) + in.signed()
		if at < 0 || at >= int64(len(r.contents)) {
			in.fail("no such content")
			return nil
		}
		r.lastContent = int(at) + 1
		c = r.contents[at]
		if kind == contentOld {
			return c
		}
		if r.missed = r.missed || c.ID.IsStandIn(); r.missed {
			in.fail("a content whose id is not known")
			return nil
		}
		c = &chunkstore.Content{ID: c.ID, Size: c.Size}
	case contentNew:
		c = &chunkstore.Content{Size: r.in[colSizes].signed()}
		if x != nil {
			c.Size += x.Size
		}
		if r.head.TellsIDs() {
			c.ID = r.in[colIDs].id()
		}
	}
	if c.Size <= 0 || c.Size > sizeMax-r.size {
		in.fail("a content of %d bytes", c.Size)
		return nil
	}
	r.size += c.Size
	r.made = append(r.made, c)
	r.chunkList(c, kind)
	return c
}

// chunkList reads the chunk list of a content of a kind, and its id unless that is known.
func (r *recipeReader) chunkList(c *chunkstore.Content, kind int) {
	in := &r.in[colChunks]
	n := in.length(int64(len(in.b)) + listImplied)
	switch {
	case kind == contentRecut:
		if n == listPending {
			in.fail("a chunk list is left out, and no entry gives it")
		}
	case r.head.TellsIDs():
	case n == listPending:
		// together with the set, the number of a content says which one it is
		key := r.head.ID
		binary.BigEndian.PutUint64(key[:], uint64(len(r.made)))
		c.ID = chunkstore.StandIn(key)
	default:
		c.ID = r.in[colIDs].id()
	}
	switch n {
	case listPending: // the directory has it
		return
	case listImplied:
		c.Chunks = []chunkstore.Chunk{{ID: c.ID, Size: c.Size}}
		return
	}
	for n -= listImplied; n > 0 && in.err == nil; n-- {
		c.Chunks = append(c.Chunks, r.chunk(in))
	}
}

func (r *recipeReader) chunk(in *input) chunkstore.Chunk {
	switch v := in.number(); v {
	case chunkHole:
		return chunkstore.Chunk{Size: in.size(sizeMax)}
	case chunkNew:
		return chunkstore.Chunk{Size: int64(in.length(chunkstore.ChunkMax)), ID: r.in[colIDs].id()}
	default:
		if r.lacking {
			r.missed = true
			in.fail("a chunk of a list that is not known")
			return chunkstore.Chunk{}
		}
		if r.chunks == nil {
			r.chunks = r.from.Chunks()
		}
		v -= chunkOld
		at := int64(r.lastChunk) + (int64(v>>1) ^ -int64(v&1))
		if at < 0 || at >= int64(len(r.chunks)) {
			in.fail("no such chunk")
			return chunkstore.Chunk{}
		}
		r.lastChunk = int(at) + 1
		return r.chunks[at]
	}
}
