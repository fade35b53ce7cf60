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
	m.head.version = m.o.version
	if m.o.version == 0 {
		m.head.version = version
	}
	var c columns
	writeRecipe(&c, m.from, m.to, renames, pending, m.head.version)
	var counts []int
	for _, g := range m.groups {
		counts = append(counts, g.entries)
		m.stats.add(suffix.StreamNames[:], g.sizes)
	}
	if m.head.TellsIDs() {
		pending = nil
	}
	writeDirectory(&c, m.listing, m.entries, counts, pending)
	var sizes []streamSize
	m.head.bundle, sizes = appendBundle(nil, c[:m.head.columns()], unheard)
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
	if err := s.Complete(m.to); err != nil {
		return err
	}
	return s.Finish()
}
