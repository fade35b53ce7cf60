package fontcache

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/go-text/typesetting/font/opentype/tables"
)

// place is where an instance is on all axes: from -1 to 1 with 14 bits behind the point.
type place []tables.Coord

// placeOf gives where an instance is, as its axes and the table avar say.
func (s *sfnt) placeOf(at *instance) (place, error) {
	p := make(place, len(s.face.axes))
	for i, a := range s.face.axes {
		least, usual, top := float32(fixed(a.least)), float32(fixed(a.usual)), float32(fixed(a.top))
		n := min(max(float32(fixed(at.coords[i])), least), top)
		switch {
		case n < usual:
			n = -(n - usual) / (least - usual)
		case n > usual:
			n = (n - usual) / (top - usual)
		default:
			n = 0
		}
		p[i] = tables.Coord(math.Round(float64(n * (1 << 14))))
	}
	b, err := s.table("avar")
	if b == nil || err != nil {
		return p, err
	}
	avar, _, err := tables.ParseAvar(b)
	if err != nil || len(avar.AxisSegmentMaps) > len(p) {
		return nil, fmt.Errorf("%w: table avar", errUnread)
	}
	for i, m := range avar.AxisSegmentMaps {
		p[i] = m.Map(p[i])
	}
	return p, nil
}

// metrics are the widths of glyphs and what they have on their left, in the table hmtx.
type metrics struct {
	b             []byte
	count, glyphs int // that have a width of their own, and all
}

func (m *metrics) at(place int) int16 {
	if place+2 > len(m.b) {
		return 0
	}
	return int16(binary.BigEndian.Uint16(m.b[place:]))
}

func (m *metrics) width(glyph uint32) int16 {
	if m.count == 0 || int(glyph) >= m.glyphs {
		return 0
	}
	return m.at(4 * min(int(glyph), m.count-1))
}

func (m *metrics) left(glyph uint32) int16 {
	if i := int(glyph); i >= m.count {
		return m.at(4*m.count + 2*(i-m.count))
	}
	return m.at(4*int(glyph) + 2)
}

// variedAdvance gives the widths of an instance's glyphs: as the table HVAR says, or else the
// points of the glyphs themselves.
func (s *sfnt) variedAdvance(hmtx []byte, at *instance) (func(uint32) (int, error), error) {
	p, err := s.placeOf(at)
	if err != nil {
		return nil, err
	}
	m := &metrics{hmtx, s.metrics, s.glyphs}
	switch {
	case s.has("HVAR"):
		v, err := s.readHVAR(p)
		if err != nil {
			return nil, err
		}
		return func(glyph uint32) (int, error) {
			delta, err := v.delta(glyph)
			return int(float32(m.width(glyph)) + delta), err
		}, nil
	case s.has("gvar"):
		v, err := s.readGvar(p, m)
		if err != nil {
			return nil, err
		}
		return v.advance, nil
	}
	return func(glyph uint32) (int, error) { return int(m.width(glyph)), nil }, nil
}

// region is how much one of the axes takes part where it begins, is greatest and ends.
type region struct{ begin, peak, end tables.Coord }

// share gives how much a region takes part at a place on its axis.
func (r region) share(at tables.Coord) float32 {
	switch {
	case r.peak == 0 || at == r.peak:
		return 1
	case at <= r.begin || r.end <= at || at == 0:
		return 0
	case at < r.peak:
		return float32(at-r.begin) / float32(r.peak-r.begin)
	}
	return float32(r.end-at) / float32(r.end-r.peak)
}

// hvar is the table HVAR at a place.
type hvar struct {
	*sfnt
	b      []byte
	store  int       // where the variations lie
	shares []float32 // how much each region takes part
}

var errHVAR = fmt.Errorf("%w: table HVAR", errUnread)

// readHVAR reads the table and how much each of its regions takes part.
func (s *sfnt) readHVAR(p place) (*hvar, error) {
	be := binary.BigEndian
	b, err := s.need("HVAR", 20)
	if err != nil {
		return nil, err
	}
	v := &hvar{sfnt: s, b: b, store: int(be.Uint32(b[4:]))}
	if v.store > len(b)-8 || be.Uint16(b[v.store:]) != 1 {
		return nil, errHVAR
	}
	at := v.store + int(be.Uint32(b[v.store+2:]))
	if at > len(b)-4 || int(be.Uint16(b[at:])) != len(p) {
		return nil, errHVAR
	}
	count := int(be.Uint16(b[at+2:]))
	if len(b)-at-4 < 6*count*len(p) {
		return nil, errHVAR
	}
	if err := s.work(count * len(p)); err != nil {
		return nil, err
	}
	b = b[at+4:]
	for range count {
		share := float32(1)
		for _, c := range p {
			r := region{
				tables.Coord(be.Uint16(b)), tables.Coord(be.Uint16(b[2:])), tables.Coord(be.Uint16(b[4:])),
			}
			share *= r.share(c)
			b = b[6:]
		}
		v.shares = append(v.shares, share)
	}
	return v, nil
}

// index gives which variations are a glyph's: those of a part of the store, and which of them.
func (v *hvar) index(glyph uint32) (outer, inner int, err error) {
	be := binary.BigEndian
	at := int(be.Uint32(v.b[8:]))
	if at == 0 {
		return 0, int(glyph), nil
	}
	if at > len(v.b)-6 || v.b[at] > 1 {
		return 0, 0, errHVAR
	}
	format, head := v.b[at+1], 4
	count := int(be.Uint16(v.b[at+2:]))
	if v.b[at] == 1 {
		head, count = 6, int(be.Uint32(v.b[at+2:]))
	}
	each, bits := int(format>>4&3)+1, format&0xf+1
	if count == 0 {
		return 0, int(glyph), nil
	}
	at += head + each*min(int(glyph), count-1)
	if at+each > len(v.b) {
		return 0, 0, errHVAR
	}
	n := bigEndian(v.b[at : at+each])
	return n >> bits, n & (1<<bits - 1), nil
}

// delta gives by how much a glyph is wider at the place.
func (v *hvar) delta(glyph uint32) (delta float32, err error) {
	const long = 0x8000
	be := binary.BigEndian
	outer, inner, err := v.index(glyph)
	if err != nil {
		return 0, err
	}
	if outer >= int(be.Uint16(v.b[v.store+6:])) {
		return 0, nil
	}
	place := v.store + 8 + 4*outer
	if place > len(v.b)-4 {
		return 0, errHVAR
	}
	at := v.store + int(be.Uint32(v.b[place:]))
	if at > len(v.b)-6 {
		return 0, errHVAR
	}
	items, words, regions := int(be.Uint16(v.b[at:])), int(be.Uint16(v.b[at+2:])), int(be.Uint16(v.b[at+4:]))
	if inner >= items {
		return 0, nil
	}
	wide, narrow := 2, 1
	if words&long != 0 {
		wide, narrow, words = 4, 2, words&^long
	}
	row := words*wide + (regions-words)*narrow
	at += 6
	indexes := v.b[at:]
	if at += 2*regions + row*inner; words > regions || at+row > len(v.b) {
		return 0, errHVAR
	}
	if err := v.work(1 + regions/4); err != nil {
		return 0, err
	}
	b := v.b[at : at+row]
	for i := range regions {
		size := narrow
		if i < words {
			size = wide
		}
		n := int32(bigEndian(b[:size])) << (32 - 8*size) >> (32 - 8*size)
		b = b[size:]
		which := int(be.Uint16(indexes[2*i:]))
		if which >= len(v.shares) {
			return 0, errHVAR
		}
		delta += float32(n) * v.shares[which]
	}
	return delta, nil
}
