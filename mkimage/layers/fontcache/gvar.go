package fontcache

import (
	"encoding/binary"
	"fmt"

	"github.com/go-text/typesetting/font/opentype/tables"
)

// gvar moves the points of a TrueType font's glyphs, at a place. Of each glyph two of the points
// behind its own count here: where the one before it ends, and where the next one begins.
type gvar struct {
	*sfnt
	metrics *metrics
	place   place
	shared  []byte // places that several glyphs have
	offset  int64  // of the glyphs' data
	long    bool   // its places have 32 bits
}

var errGvar = fmt.Errorf("%w: table gvar", errUnread)

// gvarHead is how many bytes the table has before the places of the glyphs' data.
const gvarHead = 20

func (s *sfnt) readGvar(p place, m *metrics) (*gvar, error) {
	be := binary.BigEndian
	b, err := s.part("gvar", 0, gvarHead)
	if err != nil {
		return nil, err
	}
	if int(be.Uint16(b[12:])) != s.glyphs {
		return nil, errGvar
	}
	v := &gvar{
		sfnt: s, metrics: m, place: p, offset: int64(be.Uint32(b[16:])), long: be.Uint16(b[14:])&1 != 0,
	}
	v.shared, err = s.part("gvar", int64(be.Uint32(b[8:])), 2*int64(len(p))*int64(be.Uint16(b[6:])))
	return v, err
}

// data gives what the table has for a glyph; nil: nothing.
func (v *gvar) data(glyph uint32) ([]byte, error) {
	be := binary.BigEndian
	var from, to int64
	if v.long {
		b, err := v.part("gvar", gvarHead+4*int64(glyph), 8)
		if err != nil {
			return nil, err
		}
		from, to = int64(be.Uint32(b)), int64(be.Uint32(b[4:]))
	} else {
		b, err := v.part("gvar", gvarHead+2*int64(glyph), 4)
		if err != nil {
			return nil, err
		}
		from, to = 2*int64(be.Uint16(b)), 2*int64(be.Uint16(b[2:]))
	}
	if from == to {
		return nil, nil
	}
	return v.part("gvar", v.offset+from, to-from)
}

// advance gives how wide a glyph is.
func (v *gvar) advance(glyph uint32) (int, error) {
	left, right, err := v.ends(glyph, 0)
	if err != nil {
		return 0, err
	}
	return int(max(right-left, 0)), nil
}

// ends gives where a glyph begins and where it ends. depth says in how many others it is.
func (v *gvar) ends(glyph uint32, depth int) (left, right float32, err error) {
	if depth > depthMax {
		return 0, 0, fmt.Errorf("%w: a glyph of others", errUnread)
	}
	b, err := v.glyph(glyph)
	if err != nil {
		return 0, 0, err
	}
	points, least := 0, int16(0)
	var parts []byte
	if len(b) >= 10 {
		least = int16(binary.BigEndian.Uint16(b[2:]))
		contours := int(int16(binary.BigEndian.Uint16(b)))
		switch b = b[10:]; {
		case contours < 0:
			parts = b
			if points, err = countParts(parts); err != nil {
				return 0, 0, err
			}
		case contours > 0:
			if len(b) < 2*contours {
				return 0, 0, fmt.Errorf("%w: table glyf", errUnread)
			}
			points = int(binary.BigEndian.Uint16(b[2*contours-2:])) + 1
		}
	}
	left = float32(least - v.metrics.left(glyph))
	right = float32(v.metrics.width(glyph)) + left
	if err := v.move(glyph, points, &left, &right); err != nil {
		return 0, 0, err
	}
	for range points {
		if parts == nil {
			break
		}
		flags := binary.BigEndian.Uint16(parts)
		if flags&0x200 != 0 { // its width is the whole glyph's
			left, right, err = v.ends(uint32(binary.BigEndian.Uint16(parts[2:])), depth+1)
			if err != nil {
				return 0, 0, err
			}
		}
		parts = parts[min(partSize(flags), len(parts)):]
	}
	return left, right, nil
}

// countParts counts the parts of a glyph that is made of others.
func countParts(b []byte) (count int, err error) {
	for {
		if len(b) < 4 {
			return 0, fmt.Errorf("%w: a glyph of others", errUnread)
		}
		count++
		flags := binary.BigEndian.Uint16(b)
		if flags&0x20 == 0 {
			return count, nil
		}
		b = b[min(partSize(flags), len(b)):]
	}
}

// Flags in the data of a glyph.
const (
	sharedPoints  = 0x8000 // of their number: all variations begin with the same points
	ownPeak       = 0x8000 // of each: where it is greatest
	ownEnds       = 0x4000 // where it begins and ends
	ownPoints     = 0x2000
	sharedIndexes = 0x0fff
)

// move moves the two points behind so many of a glyph.
func (v *gvar) move(glyph uint32, points int, left, right *float32) error {
	be := binary.BigEndian
	data, err := v.data(glyph)
	if data == nil || err != nil {
		return err
	}
	if len(data) < 4 {
		return errGvar
	}
	count, at := be.Uint16(data), int(be.Uint16(data[2:]))
	if at > len(data) {
		return errGvar
	}
	heads, deltas := data[4:], data[at:]
	var shared []uint16 // nil: all
	if count&sharedPoints != 0 {
		if shared, deltas, err = pointNumbers(deltas); err != nil {
			return err
		}
	}
	for range count & 0xfff {
		if len(heads) < 4 {
			return errGvar
		}
		size, flags := int(be.Uint16(heads)), be.Uint16(heads[2:])
		share, rest, err := v.share(heads[4:], flags)
		if err != nil {
			return err
		}
		if heads = rest; size > len(deltas) {
			return errGvar
		}
		own, numbers := deltas[:size], shared
		deltas = deltas[size:]
		if err := v.work(1 + size/16 + len(v.place)); err != nil {
			return err
		}
		if share == 0 {
			continue
		}
		if flags&ownPoints != 0 {
			if numbers, own, err = pointNumbers(own); err != nil {
				return err
			}
		}
		x, y, err := endDeltas(own, numbers, points)
		if err != nil {
			return err
		}
		*left += x * share
		*right += y * share
	}
	return nil
}

// share gives how much a variation takes part, and what is behind its places.
func (v *gvar) share(b []byte, flags uint16) (share float32, rest []byte, err error) {
	size := 2 * len(v.place)
	take := func(n int) []byte {
		if len(b) < n {
			err = errGvar
			return make([]byte, n)
		}
		taken := b[:n]
		b = b[n:]
		return taken
	}
	var peak, begin, end []byte
	if flags&ownPeak != 0 {
		peak = take(size)
	} else if i := int(flags&sharedIndexes) * size; i+size <= len(v.shared) {
		peak = v.shared[i : i+size]
	}
	if flags&ownEnds != 0 {
		begin, end = take(size), take(size)
	}
	if err != nil || peak == nil {
		return 0, b, err
	}
	number := func(b []byte, i int) tables.Coord { return tables.Coord(binary.BigEndian.Uint16(b[2*i:])) }
	share = 1
	for i, c := range v.place {
		top := number(peak, i)
		switch {
		case top == 0 || c == top:
		case begin == nil && (c == 0 || c < min(0, top) || c > max(0, top)):
			return 0, b, nil
		case begin == nil:
			share *= float32(c) / float32(top)
		default:
			from, to := number(begin, i), number(end, i)
			switch {
			case from > top || top > to || from < 0 && to > 0:
			case c < from || c > to:
				return 0, b, nil
			case c < top && top != from:
				share *= float32(c-from) / float32(top-from)
			case c >= top && top != to:
				share *= float32(to-c) / float32(to-top)
			}
		}
	}
	return share, b, nil
}
