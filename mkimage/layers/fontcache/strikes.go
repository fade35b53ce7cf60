package fontcache

import (
	"encoding/binary"
	"fmt"
	"strings"
)

const strikeSize = 48 // bytes of a strike's record

// readStrikes reads the sizes of bitmaps.
func (s *sfnt) readStrikes() error {
	be := binary.BigEndian
	f := &s.face
	b, err := s.table("CBLC")
	if err != nil {
		return err
	}
	if b != nil {
		f.color = true
	} else if b, err = s.table("EBLC"); err != nil {
		return err
	}
	if s.has("CBLC") || s.has("CBDT") {
		f.outlines = false
	}
	if b == nil && s.has("bloc") {
		return fmt.Errorf("%w: table bloc", errUnread)
	}
	chosen, best := 0, 0 // the strike nearest to 16 pixels, which fontconfig selects
	if b != nil {
		if len(b) < 8 || int64(be.Uint32(b[4:])) > int64(len(b)-8)/strikeSize {
			return fmt.Errorf("%w: its bitmaps", errUnread)
		}
		for i := range int(be.Uint32(b[4:])) {
			strike := b[8+strikeSize*i:]
			x, y := strike[44], strike[45]
			if x == 0 || y == 0 {
				continue
			}
			if far := abs(strikeHeight(strike) - 16); len(f.sizes) == 0 || far < best {
				chosen, best = int(y), far
			}
			f.sizes = append(f.sizes, float64(y))
		}
	}
	if len(f.sizes) > 0 && f.outlines && s.has("glyf") {
		// FreeType asks whether nothing but the first glyph has an outline
		if full, err := s.filledGlyphs(); err != nil {
			return err
		} else if len(full) == 1 && full[0] == 0 {
			f.outlines = false
		}
	}
	f.outlines = f.outlines || len(f.sizes) == 0
	if !f.outlines && s.has("BDF ") {
		return s.readProperties(uint16(chosen))
	}
	return nil
}

// strikeHeight gives a strike's height in pixels, as FreeType's tt_face_load_strike_metrics does.
func strikeHeight(strike []byte) int {
	ascender, descender := int(int8(strike[16])), int(int8(strike[17]))
	before, after := int(int8(strike[24])), int(int8(strike[25]))
	ppem := int(strike[45])
	switch {
	case descender > 0 && after < 0:
		descender = -descender
	case descender == 0 && ascender == 0 && (before != 0 || after != 0):
		ascender, descender = before, after
	}
	if ascender == descender {
		return ppem
	}
	return ascender - descender
}

// readProperties reads those of a strike that count once fontconfig has selected it. Before that, a
// font has none.
func (s *sfnt) readProperties(ppem uint16) error {
	be := binary.BigEndian
	f := &s.face
	wrong := fmt.Errorf("%w: table BDF", errUnread)
	b, err := s.need("BDF ", 8)
	if err != nil {
		return err
	}
	count, from := int(be.Uint16(b[2:])), int64(be.Uint32(b[4:]))
	if be.Uint16(b) != 1 || from > int64(len(b)) || len(b) < 8+4*count {
		return wrong
	}
	text := func(offset uint32) string {
		if int64(offset) >= int64(len(b))-from {
			return ""
		}
		s, _, _ := strings.Cut(string(b[from+int64(offset):]), "\x00")
		return s
	}
	at := 8 + 4*count
	for i := range count {
		properties := int(be.Uint16(b[8+4*i+2:]))
		if at+10*properties > len(b) {
			return wrong
		}
		if be.Uint16(b[8+4*i:]) != ppem {
			at += 10 * properties
			continue
		}
		f.properties = map[string]any{}
		for ; properties > 0; properties-- {
			r := b[at:]
			at += 10
			name, kind := text(be.Uint32(r)), be.Uint16(r[4:])
			if _, there := f.properties[name]; there || kind&0x10 == 0 || name != "SPACING" && name != "PIXEL_SIZE" {
				continue
			}
			switch kind & 0xf {
			case 0, 1:
				f.properties[name] = text(be.Uint32(r[6:]))
			case 2:
				f.properties[name] = int32(be.Uint32(r[6:]))
			default:
				return wrong
			}
		}
		if n, ok := f.properties["PIXEL_SIZE"].(int32); ok && len(f.sizes) == 1 {
			f.sizes[0] = float64(n)
		}
		break
	}
	return nil
}
