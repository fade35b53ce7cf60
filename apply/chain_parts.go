package apply

import (
	"deltaup/chunkstore"
	"deltaup/delta"
	"deltaup/delta/patchset"
)

// patching bounds the memory that it takes to make a content of the release that the first so many
// sets lead to. ok is false when several goroutines cannot make such contents at once: where a step
// is taken, or a base is made as a file.
func (c *chain) patching(id chunkstore.ID, sets int) (memory int64, ok bool) {
	s, before := c.maker(id, sets)
	if s == nil {
		return 0, true
	}
	for _, i := range s.entries[id] {
		e := &s.step.Entries[i]
		if e.Stepped() {
			return 0, false
		}
		memory = max(memory, entryMemory(e))
		if e.Base == nil {
			continue
		}
		if made, _ := c.maker(e.Base.ID, before); made != nil && e.Base.Size > patchset.PieceMax {
			return 0, false
		}
		base, ok := c.patching(e.Base.ID, before)
		if !ok {
			return 0, false
		}
		memory = max(memory, base)
	}
	return memory, true
}

// pieces lists the groups that a content is made of.
func (c *chain) pieces(id chunkstore.ID) []delta.Piece {
	n := needs{sets: c.sets}
	for _, s := range c.sets {
		n.groups = append(n.groups, make([]bool, len(s.head.Groups)))
	}
	c.mark(n.groups, id, len(c.sets))
	return n.pieces()
}

// split gives the parts of a content of the release that has an entry for each piece, of p, which
// is all of it.
func (c *chain) split(p *part, blockSize int64) []*part {
	id := p.contents[0].ID
	s, _ := c.maker(id, len(c.sets))
	if s == nil || len(s.entries[id]) == 1 {
		return []*part{p}
	}
	var parts []*part
	for _, i := range s.entries[id] {
		e := &s.step.Entries[i]
		if e.Offset%blockSize != 0 {
			return []*part{p}
		}
		x := *p
		x.first, x.size = int(e.Offset/blockSize), e.Length
		parts = append(parts, &x)
	}
	return parts
}
