package patchset

import (
	"slices"

	"deltaup/chunkstore"
)

const (
	// chunkListed is about what one chunk takes in the recipe's patch, which has the chunk lists of
	// contents that are left out.
	chunkListed = 36
	// dearShare is the share of MakeOptions.LeftOutCost by which a patch must be larger than the
	// chunks to be thought of: what is less adds up to it too seldom to be grouped alone, which
	// costs bytes.
	dearShare = 64
)

// dear is a content whose patch is larger than its chunks. It has groups of its own, so that it can
// be taken out again when all are known.
type dear struct {
	content *chunkstore.Content
	chunks  int64 // bytes
	stored  int64 // bytes of its groups
}

// dear gives nil for a candidate that belongs in the set.
func (m *maker) dear(c *candidate) *dear {
	if m.o.ChunkCost == nil || c.cost < c.chunks+m.o.LeftOutCost/dearShare {
		return nil
	}
	return &dear{content: c.entries[0].Content, chunks: c.chunks}
}

// leaveOut takes out the contents that cost less by chunks, if they save what one of them costs a
// target besides.
func (m *maker) leaveOut() {
	saved, out := int64(0), map[*chunkstore.Content]bool{}
	for i := range m.groups {
		if d := m.groups[i].dear; d != nil {
			d.stored += m.head.Groups[i].Length
		}
	}
	for i := range m.groups {
		if d := m.groups[i].dear; d != nil && d.stored >= d.chunks && !out[d.content] {
			saved += d.stored - d.chunks
			out[d.content] = true
		}
	}
	if len(out) == 0 || saved < m.o.LeftOutCost {
		return
	}
	number := make([]int, len(m.groups)) // of each group that stays
	var groups []madeGroup
	var refs []GroupRef
	for i, g := range m.groups {
		number[i] = len(groups)
		if g.dear == nil || !out[g.dear.content] {
			groups, refs = append(groups, g), append(refs, m.head.Groups[i])
		}
	}
	m.groups, m.head.Groups = groups, refs
	m.entries = slices.DeleteFunc(m.entries, func(e Entry) bool { return out[e.Content] })
	for i := range m.entries {
		m.entries[i].Group = number[m.entries[i].Group]
	}
	m.stats.Entries = slices.DeleteFunc(m.stats.Entries,
		func(e EntryStats) bool { return out[e.Content] })
}
