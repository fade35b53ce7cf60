package patchset

import (
	"fmt"
	"io"

	"deltaup/chunkstore"
	"deltaup/delta/suffix"
)

// write reads the head back and writes the set.
func (m *maker) write(w io.Writer, renames []rename) (err error) {
	pending := make(map[*chunkstore.Content]bool)
	if !m.o.ChunkLists {
		for i := range m.entries {
			pending[m.entries[i].Content] = true
		}
	}
	var c columns
	writeRecipe(&c, m.from, m.to, renames, pending)
	var counts []int
	for _, g := range m.groups {
		counts = append(counts, g.entries)
		m.stats.add(suffix.StreamNames[:], g.sizes)
	}
	writeDirectory(&c, m.listing, m.entries, counts)
	var sizes []streamSize
	m.head.version = version
	written := c[:]
	if len(c[colShifted]) == 0 {
		m.head.version, written = 1, c[:columnsV1] // older programs can read it
	}
	m.head.bundle, sizes = appendBundle(nil, written, unheard)
	for _, s := range sizes[:recipeColumns] {
		m.stats.Recipe += int64(s.stored)
	}
	m.stats.add(columnNames[:], sizes)
	if m.head.From, err = m.from.ID(); err != nil {
		return err
	}
	if m.head.To, err = m.to.ID(); err != nil {
		return err
	}
	b := m.head.encode()
	if err := m.check(b); err != nil {
		return err
	}
	m.stats.ID, m.stats.HeadSize, m.stats.Size = m.head.ID, m.head.size, m.head.SetSize()
	if _, err := w.Write(b); err != nil {
		return err
	}
	for i, g := range m.groups {
		if _, err := io.Copy(w, io.NewSectionReader(m.spool, g.at, m.head.Groups[i].Length)); err != nil {
			return err
		}
	}
	return nil
}

// check reads back the head that write is about to write.
func (m *maker) check(b []byte) error {
	if len(b) > HeadMax {
		return fmt.Errorf("a head of %d bytes, at most %d are permitted", len(b), HeadMax)
	}
	h, err := ReadHead(b)
	if err != nil {
		return err
	}
	s, err := h.Step(m.from)
	if err != nil {
		return err
	}
	lists := make(map[chunkstore.ID][]chunkstore.Chunk)
	for c := range m.to.Contents() {
		lists[c.ID] = c.Chunks
	}
	for _, c := range s.pending {
		c.Chunks = lists[c.ID]
	}
	return s.Finish()
}
