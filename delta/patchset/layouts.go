package patchset

import "deltaup/delta/transform"

// layouts are those of a program and its base, the same sections in the same order.
type layouts struct{ old, new transform.Layout }

// write appends layouts to the column of lengths: the number of sections, and of each what it
// holds and its place in both files.
func (l *layouts) write(c *columns) {
	c.number(colLengths, uint64(len(l.old)))
	for i, s := range l.old {
		t := l.new[i]
		c.number(colLengths, uint64(s.Kind))
		c.signed(colLengths, s.Offset)
		c.signed(colLengths, int64(s.Addr))
		c.signed(colLengths, int64(s.Size))
		c.signed(colLengths, t.Offset-s.Offset)
		c.signed(colLengths, int64(t.Addr-s.Addr))
		c.signed(colLengths, int64(t.Size-s.Size))
	}
}

// stored is about how many stored bytes they take.
func (l *layouts) stored() int64 {
	var c columns
	l.write(&c)
	return int64(len(estimator().EncodeAll(c[colLengths], nil)))
}

// readLayouts reads what write writes.
func readLayouts(in *input) *layouts {
	l := new(layouts)
	for range in.below(transform.SectionMax + 1) {
		var s, t transform.Section
		s.Kind = uint8(in.below(transform.KindsEnd))
		t.Kind = s.Kind
		s.Offset = in.signed()
		s.Addr = uint64(in.signed())
		s.Size = uint64(in.signed())
		t.Offset = s.Offset + in.signed()
		t.Addr = s.Addr + uint64(in.signed())
		t.Size = s.Size + uint64(in.signed())
		l.old, l.new = append(l.old, s), append(l.new, t)
	}
	return l
}
