package fontcache

import (
	"fmt"
	"io"
)

// source is a file of fonts, of which as little is read as its fonts' patterns need.
type source struct {
	in    io.ReaderAt
	size  int64
	steps int64 // that are left, see work
	// tables that were read, which fonts of a collection share
	tables map[extent][]byte
	held   int64 // bytes of these
	// the table of PostScript's glyphs that was read last
	outlinesAt extent
	outlines   *outlines
}

// extent is a part of a file: size is what it has when it is unpacked.
type extent struct{ offset, packed, size int64 }

// Bounds of what is kept in memory, in bytes.
const (
	tableMax   = 64 << 20 // of a table that is read as a whole; that of PostScript in Noto's CJK has 17 MB
	heldMax    = 4 << 20  // of the tables of a collection, beside the one that was read last
	contentMax = 32 << 20 // of a file that is read as a whole
)

// Steps are what reading a file costs: a glyph that is looked at, a character, a name that is
// compared. Each may take some tens of nanoseconds. A file of the usual kind needs far fewer than
// it may have; tiny ones could ask for days.
const (
	stepsMin  = 8 << 20
	stepsByte = 8
)

func newSource(in io.ReaderAt, size int64) *source {
	return &source{in: in, size: size, steps: stepsMin + stepsByte*size, tables: map[extent][]byte{}}
}

// work takes steps. The error wraps errUnread when there are none left.
func (s *source) work(steps int) error {
	if s.steps -= int64(steps); s.steps < 0 {
		return fmt.Errorf("%w: too much work for a file of %d bytes", errUnread, s.size)
	}
	return nil
}

// bytes reads a part of the file.
func (s *source) bytes(offset, size int64) ([]byte, error) {
	if offset < 0 || size < 0 || size > s.size-offset {
		return nil, fmt.Errorf("%w: it ends early", errUnread)
	}
	b := make([]byte, size)
	if n, err := s.in.ReadAt(b, offset); n < len(b) {
		return nil, err
	}
	return b, nil
}

// head gives how the file begins.
func (s *source) head() ([]byte, error) { return s.bytes(0, min(s.size, 256)) }

// all reads the file.
func (s *source) all() ([]byte, error) {
	if s.size > contentMax {
		return nil, fmt.Errorf("%w: %d bytes", errUnread, s.size)
	}
	return s.bytes(0, s.size)
}

// table reads a table. It may share its bytes with others.
func (s *source) table(e extent) ([]byte, error) {
	if b, ok := s.tables[e]; ok {
		return b, nil
	}
	if e.size > tableMax {
		return nil, fmt.Errorf("%w: a table of %d bytes", errUnread, e.size)
	}
	if err := s.work(int(e.size >> 6)); err != nil {
		return nil, err
	}
	b, err := s.bytes(e.offset, e.packed)
	if err == nil && e.packed < e.size {
		b, err = unpacked(b, e.size)
	}
	if err != nil {
		return nil, err
	}
	if s.held += e.size; s.held > heldMax {
		clear(s.tables)
		s.held = e.size
	}
	s.tables[e] = b
	return b, nil
}
