package fontcache

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// sfnt is a font in a file of tables: TrueType and OpenType.
type sfnt struct {
	*source
	kind     string // the first four bytes
	extents  map[string]extent
	glyphs   int
	parts    int        // glyphs of others that were looked at
	metrics  int        // glyphs that have a width of their own
	places   uint16     // of glyphs: 0 with 16 bits, 1 with 32
	names    []sfntName // in their own order
	outlines *outlines  // nil: they are those of TrueType
	face     face
}

// Bounds of a file. Fonts of a collection share tables, and tables may overlap, so neither is
// bounded by the file.
const (
	facesMax   = 256
	tablesMax  = 1 << 30 // bytes of the tables of all fonts
	namesMax   = 1 << 12 // names of a font
	textsMax   = 1 << 20 // bytes of these names
	scriptsMax = 1 << 10 // of a table
)

// signatures is the tag of a table that some fonts have twice, and nobody reads.
const signatures = "DSIG"

func (s *source) newSFNT(kind string) *sfnt {
	return &sfnt{source: s, kind: kind, extents: map[string]extent{}}
}

// readSFNT reads the directories of a file that begins with head.
func (s *source) readSFNT(head []byte) (count int, read func(int) (*face, error), err error) {
	be := binary.BigEndian
	var fonts []*sfnt
	switch string(head[:4]) {
	case "wOFF":
		f, err := s.readWOFF()
		if err != nil {
			return 0, nil, err
		}
		fonts = append(fonts, f)
	case "ttcf":
		wrong := fmt.Errorf("%w: its tables", errUnread)
		if len(head) < 12 || be.Uint32(head[8:]) > facesMax || be.Uint32(head[8:]) == 0 {
			return 0, nil, wrong
		}
		places, err := s.bytes(12, 4*int64(be.Uint32(head[8:])))
		if err != nil {
			return 0, nil, wrong
		}
		whole := int64(0)
		for ; len(places) > 0; places = places[4:] {
			f, err := s.readDirectory(int64(be.Uint32(places)), &whole)
			if err != nil {
				return 0, nil, err
			}
			fonts = append(fonts, f)
		}
	default:
		f, err := s.readDirectory(0, new(int64))
		if err != nil {
			return 0, nil, err
		}
		fonts = append(fonts, f)
	}
	return len(fonts), func(i int) (*face, error) {
		f := fonts[i]
		fonts[i] = nil // it is read once
		return &f.face, f.read()
	}, nil
}

// readDirectory reads the directory of a font at a place of the file. It is an error unless the
// file has all tables that the font says, each once, and not too many bytes of them; whole has
// those of the fonts before.
func (s *source) readDirectory(at int64, whole *int64) (*sfnt, error) {
	be := binary.BigEndian
	wrong := fmt.Errorf("%w: its tables", errUnread)
	if at > s.size-12 {
		return nil, wrong
	}
	head, err := s.bytes(at, 12)
	if err != nil {
		return nil, err
	}
	size := 16 * int64(be.Uint16(head[4:]))
	if at+12+size > s.size || !slices.Contains([]string{"\x00\x01\x00\x00", "OTTO", "true"}, string(head[:4])) {
		return nil, wrong
	}
	records, err := s.bytes(at+12, size)
	if err != nil {
		return nil, err
	}
	f := s.newSFNT(string(head[:4]))
	for ; len(records) > 0; records = records[16:] {
		tag := string(records[:4])
		e := extent{int64(be.Uint32(records[8:])), int64(be.Uint32(records[12:])), int64(be.Uint32(records[12:]))}
		_, seen := f.extents[tag]
		*whole += e.size
		if seen && tag != signatures || e.offset+e.size > s.size || *whole > tablesMax {
			return nil, wrong
		}
		if !seen {
			f.extents[tag] = e
		}
	}
	return f, nil
}

// has tells whether there is a table with something in it.
func (s *sfnt) has(tag string) bool { return s.extents[tag].size > 0 }

// table gives a table; nil: there is none, or it is empty.
func (s *sfnt) table(tag string) ([]byte, error) {
	if !s.has(tag) {
		return nil, nil
	}
	b, err := s.source.table(s.extents[tag])
	if err != nil {
		err = fmt.Errorf("table %s: %w", tag, err)
	}
	return b, err
}

// need gives a table that has at least so many bytes.
func (s *sfnt) need(tag string, size int) ([]byte, error) {
	b, err := s.table(tag)
	if err == nil && len(b) < size {
		err = fmt.Errorf("%w: table %s: %d bytes", errUnread, tag, len(b))
	}
	return b, err
}

// part gives a part of a table, of which no more is read unless it is packed.
func (s *sfnt) part(tag string, offset, size int64) ([]byte, error) {
	e := s.extents[tag]
	if offset < 0 || size < 0 || size > e.size-offset {
		return nil, fmt.Errorf("%w: table %s: %d bytes", errUnread, tag, e.size)
	}
	if err := s.work(1 + int(size>>6)); err != nil {
		return nil, err
	}
	if e.packed == e.size {
		return s.bytes(e.offset+offset, size)
	}
	b, err := s.table(tag)
	if err != nil {
		return nil, err
	}
	return b[offset : offset+size], nil
}
