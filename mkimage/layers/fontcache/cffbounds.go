package fontcache

import (
	"encoding/binary"
	"fmt"
)

// Bounds of a table of PostScript's glyphs.
const (
	dictionariesMax = 256     // of one font; FreeType has this bound, too
	partsOfIndexMax = 1 << 16 // glyphs, or subroutines of one dictionary
)

// bound demands that what the library makes of the table fits the work that is left. The library
// keeps the subroutines of each dictionary, and the numbers of each part of a CFF2's store; many may
// be the same bytes of the table.
func (o *outlines) bound(work func(int) error) error {
	wrong := fmt.Errorf("%w: its glyphs", errUnread)
	glyphs, _, ok := cffIndex(o.behind(lastOf(o.top[opGlyphs])), o.width)
	if !ok {
		return wrong
	}
	if err := work(len(glyphs)); err != nil {
		return err
	}
	if fonts, several := o.top[opFonts]; several {
		parts, _, ok := cffIndex(o.behind(lastOf(fonts)), o.width)
		if !ok || len(parts) > dictionariesMax {
			return wrong
		}
		for _, p := range parts {
			dictionary, ok := cffDictionary(p)
			if !ok {
				return wrong
			}
			subroutines, ok := o.localOf(dictionary)
			if !ok {
				return wrong
			}
			if err := work(16 + 8*len(subroutines)); err != nil {
				return err
			}
		}
		if _, ok := cffSelect(o.behind(lastOf(o.top[opSelect])), 0); !ok && len(parts) > 1 {
			return wrong
		}
	}
	if store, ok := o.top[opStore]; ok && o.two && lastOf(store) != 0 {
		return boundStore(o.behind(lastOf(store)), work)
	}
	return nil
}

// boundStore does so with the store: its size in 16 bits, and then its format, the place of its
// regions, the number of its parts and their places. A part begins with the number of its rows, that
// of their wide numbers, and that of all.
func boundStore(b []byte, work func(int) error) error {
	be := binary.BigEndian
	wrong := fmt.Errorf("%w: its variations", errUnread)
	if len(b) < 2+8 {
		return wrong
	}
	b = b[2:]
	places := b[8:]
	count := int(be.Uint16(b[6:]))
	if len(places) < 4*count {
		return wrong
	}
	for i := range count {
		at := int(be.Uint32(places[4*i:]))
		if at > len(b)-6 {
			return wrong
		}
		rows, numbers := int(be.Uint16(b[at:])), int(be.Uint16(b[at+4:]))
		if err := work(1 + rows*(8+numbers)); err != nil {
			return err
		}
	}
	return nil
}
