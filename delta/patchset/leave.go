package patchset

import (
	"slices"

	"deltaup/chunkstore"
)

const (
	// chunkListed is about how many bytes one chunk takes in the recipe's patch. The patch has the
	// chunk lists of contents that are left out.
	chunkListed = 36
	// A patch must exceed the content's chunks by 1/costlyShare of MakeOptions.LeftOutCost to count
	// as costly. Smaller savings add up to LeftOutCost too seldom: groups for one content alone
	// compress worse.
	costlyShare = 64
)

// costly is a content whose patch is larger than its chunks. It has groups of its own, so that
// leaveOut can remove it once all groups are known.
type costly struct {
	content *chunkstore.Content
	chunks  int64 // bytes that it costs by chunks
	stored  int64 // stored bytes of its groups
}

// costly gives the costly content of a candidate, or nil when its patch is worth its bytes.
func (m *maker) costly(c *candidate) *costly {
	if m.o.ChunkCost == nil || c.cost < c.chunks+m.o.LeftOutCost/costlyShare {
		return nil
	}
	return &costly{content: c.entries[0].Content, chunks: c.chunks}
}

// leaveOut removes the contents that cost less by chunks, if that saves at least
// MakeOptions.LeftOutCost in all.
func (m *maker) leaveOut() {
	saved, out := int64(0), map[*chunkstore.Content]bool{}
	for i := range m.groups {
		if d := m.groups[i].costly; d != nil {
			d.stored += m.head.Groups[i].Length
		}
	}
	for i := range m.groups {
		if d := m.groups[i].costly; d != nil && d.stored >= d.chunks && !out[d.content] {
			saved += d.stored - d.chunks
			out[d.content] = true
		}
	}
	if len(out) == 0 || saved < m.o.LeftOutCost {
		return
	}
	number := make([]int, len(m.groups)) // new number of each group that stays
	var groups []madeGroup
	var refs []GroupRef
	for i, g := range m.groups {
		number[i] = len(groups)
		if g.costly == nil || !out[g.costly.content] {
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
