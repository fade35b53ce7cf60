package fontcache

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/go-text/typesetting/font/opentype/tables"
)

// mapped is a character and its glyph.
type mapped struct{ char, glyph uint32 }

// charsMax is the number behind the last character of Unicode.
const charsMax = 0x110000

// readChars reads which characters a font has, from the table that FreeType chooses: the last one
// of all Unicode, or else the last one of its first plane, or else the first one of symbols.
func (s *sfnt) readChars() error {
	be := binary.BigEndian
	b, err := s.need("cmap", 4)
	if err != nil {
		return err
	}
	count := int(be.Uint16(b[2:]))
	if len(b) < 4+8*count {
		return fmt.Errorf("%w: table cmap", errUnread)
	}
	whole, plane, symbols := -1, -1, -1
	windows := false // of which FreeType makes none of the glyphs' names
	for i := range count {
		r := b[4+8*i:]
		platform, encoding, at := be.Uint16(r), be.Uint16(r[2:]), int(be.Uint32(r[4:]))
		if at == 0 || at > len(b)-2 {
			continue
		}
		unicode := platform == unicodePlatform || platform == isoPlatform ||
			platform == microsoftPlatform && (encoding == 1 || encoding == 10)
		windows = windows || platform == unicodePlatform || platform == microsoftPlatform && encoding == 1
		switch {
		case unicode && (platform == microsoftPlatform && encoding == 10 || platform == unicodePlatform && encoding == 4):
			whole = at
		case unicode:
			plane = at
		case platform == microsoftPlatform && encoding == 0 && symbols < 0:
			symbols = at
		}
	}
	f := &s.face
	at := plane
	switch {
	case whole >= 0:
		at = whole
	case plane < 0 && symbols >= 0:
		at, f.symbols = symbols, true
	}
	if at < 0 || f.format == "CFF" && !windows {
		return fmt.Errorf("%w: no table of Unicode", errUnread)
	}
	list, err := s.subtable(b[at:])
	if err == nil {
		err = s.work(len(list))
	}
	if err != nil {
		return err
	}
	list = slices.DeleteFunc(list, func(m mapped) bool { return m.glyph == 0 || int(m.glyph) >= s.glyphs })
	f.chars = &charSet{}
	for _, m := range list {
		if m.char < 0x20 {
			// a font of Adobe has a space where it means nothing
			drawn, err := s.drawn(m.glyph, 0)
			if err != nil {
				return err
			}
			if !drawn {
				continue
			}
		}
		f.chars.add(m.char)
	}
	if f.symbols {
		for c := range uint32(0x100) {
			if f.chars.has(0xf000 + c) {
				f.chars.add(c)
			}
		}
	}
	f.glyphs = func(yield func(uint32) bool) {
		for _, m := range list {
			if !yield(m.glyph) {
				return
			}
		}
	}
	return nil
}

// subtable gives the characters of a table, in order. FreeType leaves a wrong one out; here it is
// an error.
func (s *sfnt) subtable(b []byte) (list []mapped, err error) {
	wrong := fmt.Errorf("%w: its characters", errUnread)
	switch binary.BigEndian.Uint16(b) {
	case 0, 4, 6, 10, 12, 13:
	default:
		return nil, wrong
	}
	parsed, _, err := tables.ParseCmapSubtable(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUnread, err)
	}
	array := func(first uint32, glyphs []tables.GlyphID) error {
		if first > charsMax || int(first)+len(glyphs) > charsMax {
			return wrong
		}
		for i, g := range glyphs {
			list = append(list, mapped{first + uint32(i), uint32(g)})
		}
		return nil
	}
	groups := func(groups []tables.SequentialMapGroup, step uint32) error {
		last := int64(-1)
		for _, g := range groups {
			if int64(g.StartCharCode) <= last || g.EndCharCode < g.StartCharCode || g.EndCharCode >= charsMax {
				return wrong
			}
			last = int64(g.EndCharCode)
			for i := range g.EndCharCode - g.StartCharCode + 1 {
				if glyph := uint64(g.StartGlyphID) + uint64(i*step); glyph < uint64(s.glyphs) {
					list = append(list, mapped{g.StartCharCode + i, uint32(glyph)})
				}
			}
		}
		return nil
	}
	switch t := parsed.(type) {
	case tables.CmapSubtable0:
		for i, g := range t.GlyphIdArray {
			list = append(list, mapped{uint32(i), uint32(g)})
		}
	case tables.CmapSubtable4:
		return segments(t)
	case tables.CmapSubtable6:
		err = array(uint32(t.FirstCode), t.GlyphIdArray)
	case tables.CmapSubtable10:
		err = array(t.StartCharCode, t.GlyphIdArray)
	case tables.CmapSubtable12:
		err = groups(t.Groups, 1)
	case tables.CmapSubtable13:
		err = groups(t.Groups, 0)
	}
	return list, err
}

// segments gives the characters of a table of segments.
func segments(t tables.CmapSubtable4) (list []mapped, err error) {
	last := -1
	for i, end := range t.EndCode {
		start, delta, offset := t.StartCode[i], t.IdDelta[i], int(t.IdRangeOffsets[i])
		if int(start) <= last || end < start {
			return nil, fmt.Errorf("%w: its characters", errUnread)
		}
		last = int(end)
		if offset == 0xffff {
			continue
		}
		begin := offset + 2*(i-len(t.EndCode))
		if offset != 0 && (begin < 0 || begin+2*(int(end-start)+1) > len(t.GlyphIDArray)) {
			if start != 0xffff || i != len(t.EndCode)-1 {
				return nil, fmt.Errorf("%w: its characters", errUnread)
			}
			delta, offset = 1, 0 // some fonts have their last segment wrong
		}
		for c := int(start); c <= int(end); c++ {
			glyph := uint16(c)
			if offset != 0 {
				glyph = binary.BigEndian.Uint16(t.GlyphIDArray[begin+2*(c-int(start)):])
				if glyph == 0 {
					continue
				}
			}
			list = append(list, mapped{uint32(c), uint32(glyph + delta)})
		}
	}
	return list, nil
}

// Bounds of glyphs that are made of others.
const (
	partsMax = 1024 // of a font's control characters
	depthMax = 8
)

// drawn tells whether a glyph has an outline. depth says in how many others it is.
func (s *sfnt) drawn(glyph uint32, depth int) (bool, error) {
	if !s.face.outlines {
		return false, nil
	}
	if s.outlines != nil {
		if err := s.work(operatorsMax); err != nil {
			return false, err
		}
		return s.outlines.drawn(int(glyph))
	}
	b, err := s.glyph(glyph)
	if len(b) < 10 || err != nil {
		return false, err
	}
	contours := int16(binary.BigEndian.Uint16(b))
	if contours < 0 {
		return s.partsDrawn(b[10:], depth+1)
	}
	return contours > 0, nil
}

// partsDrawn tells whether one of the glyphs that another is made of has an outline.
func (s *sfnt) partsDrawn(b []byte, depth int) (drawn bool, err error) {
	be := binary.BigEndian
	for {
		if s.parts++; len(b) < 4 || depth > depthMax || s.parts > partsMax {
			return false, fmt.Errorf("%w: a glyph of others", errUnread)
		}
		flags := be.Uint16(b)
		part, err := s.drawn(uint32(be.Uint16(b[2:])), depth)
		if err != nil {
			return false, err
		}
		drawn = drawn || part
		if flags&0x20 == 0 { // no more
			return drawn, nil
		}
		b = b[min(partSize(flags), len(b)):]
	}
}

// partSize gives how many bytes a part of a glyph has: its flags, its glyph, arguments, scales.
func partSize(flags uint16) int {
	size := 6
	for flag, more := range map[uint16]int{0x1: 2, 0x8: 2, 0x40: 4, 0x80: 8} {
		if flags&flag != 0 {
			size += more
		}
	}
	return size
}

// glyph gives a glyph of a TrueType font.
func (s *sfnt) glyph(glyph uint32) ([]byte, error) {
	from, size, err := s.glyphPlace(glyph)
	if size == 0 || err != nil {
		return nil, err
	}
	return s.part("glyf", from, size)
}

// glyphPlace gives where a glyph lies in the table of them, and how many bytes it has.
func (s *sfnt) glyphPlace(glyph uint32) (from, size int64, err error) {
	be := binary.BigEndian
	loca, err := s.table("loca")
	if err != nil {
		return 0, 0, err
	}
	var to int64
	switch i := int(glyph); {
	case i >= s.glyphs:
		return 0, 0, fmt.Errorf("%w: a glyph that is not there", errUnread)
	case s.places == 0 && len(loca) >= 2*i+4:
		from, to = 2*int64(be.Uint16(loca[2*i:])), 2*int64(be.Uint16(loca[2*i+2:]))
	case s.places == 1 && len(loca) >= 4*i+8:
		from, to = int64(be.Uint32(loca[4*i:])), int64(be.Uint32(loca[4*i+4:]))
	default:
		return 0, 0, fmt.Errorf("%w: table loca", errUnread)
	}
	if from > to || to > s.extents["glyf"].size {
		return 0, 0, fmt.Errorf("%w: table loca", errUnread)
	}
	return from, to - from, nil
}

// filledGlyphs gives the first two glyphs that have an outline.
func (s *sfnt) filledGlyphs() (full []int, err error) {
	for i := range s.glyphs {
		_, size, err := s.glyphPlace(uint32(i))
		if err != nil {
			return nil, err
		}
		if size > 0 {
			if full = append(full, i); len(full) == 2 {
				break
			}
		}
	}
	return full, nil
}
