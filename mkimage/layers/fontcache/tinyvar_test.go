package fontcache

import "slices"

// tinyAxes gives the table of three axes and as many instances.
func tinyAxes() []byte {
	b := slices.Concat(longs(0x10000), words(16, 2, 3, 20, 3, 4+4*3))
	for _, a := range []struct {
		tag               string
		least, usual, top int
	}{{"wght", 100, 400, 900}, {"wdth", 50, 100, 200}, {"opsz", 8, 12, 72}} {
		b = slices.Concat(b, []byte(a.tag), longs(a.least<<16, a.usual<<16, a.top<<16), words(0, 256))
	}
	for i, place := range [][3]int{{900, 100, 12}, {650, 150, 72}, {250, 75, 8}} {
		b = slices.Concat(b, words(256+i, 0), longs(place[0]<<16, place[1]<<16, place[2]<<16))
	}
	return b
}

// one is the end of an axis.
const one = 1 << 14

// tinyBends gives a table avar, which bends the first axis.
func tinyBends() []byte {
	straight := words(3, -one, -one, 0, 0, one, one)
	return slices.Concat(longs(0x10000), words(0, 3, 4, -one, -one, 0, 0, one/2, one/4, one, one), straight, straight)
}

// tinyMoves gives a table gvar, with places of 16 or 32 bits, that moves the triangle and what is
// made of it, in all the ways that the table has.
func tinyMoves(long bool) []byte {
	const triangle, parts = 3, 5 // points
	all := func(points int, x ...byte) []byte {
		y := []byte{0x80 | byte(points+4-1)} // zeros
		return append(x, y...)
	}
	variation := func(flags int, places []int, data []byte) (head, body []byte) {
		return append(words(len(data), flags), words(places...)...), data
	}
	glyph := func(count int, first []byte, variations ...func() ([]byte, []byte)) []byte {
		var heads []byte
		body := first
		for _, v := range variations {
			h, d := v()
			heads, body = append(heads, h...), append(body, d...)
		}
		b := slices.Concat(words(count|len(variations), 4+len(heads)), heads, body)
		return append(b, make([]byte, len(b)&1)...)
	}
	glyphs := [tinyGlyphs][]byte{
		1: glyph(sharedPoints, []byte{3, 2, 0, triangle, 1},
			func() ([]byte, []byte) { // of the shared points: the first one, and the ends
				return variation(ownPeak, []int{one, 0, 0}, []byte{2, 5, 0xec, 100, 0x82})
			},
			func() ([]byte, []byte) { // of all points, from a peak that glyphs share
				data := append([]byte{0}, all(triangle, 0x82, 0x42, 0, 10, 0, 200, 0, 0, 0, 7)...)
				return variation(ownPoints, nil, data)
			},
			func() ([]byte, []byte) { // between its ends, of points with numbers of 16 bits
				return variation(ownPeak|ownEnds|ownPoints, []int{one / 2, one, 0, 0, 0, 0, one, one, one},
					[]byte{0x80, 1, 0x80, 0, triangle + 1, 0, 50, 0x80})
			}),
		2: glyph(0, nil, func() ([]byte, []byte) {
			return variation(1, nil, all(parts, 0x84, 3, 1, 30, 2, 2))
		}, func() ([]byte, []byte) {
			return variation(ownPeak, []int{-one, 0, 0}, all(parts, 0x85, 0x42, 1, 0, 0, 0, 0, 0))
		}),
		5: glyph(0, nil, func() ([]byte, []byte) {
			return variation(ownPeak, []int{one, 0, 0}, all(triangle, 0x83, 2, 60, 0, 0))
		}),
	}
	var places, data []byte
	flags := 0
	for i := range tinyGlyphs + 1 {
		if long {
			flags, places = 1, append(places, longs(len(data))...)
		} else {
			places = append(places, words(len(data)/2)...)
		}
		if i < tinyGlyphs {
			data = append(data, glyphs[i]...)
		}
	}
	shared := words(one, one, 0, 0, 0, one)
	return slices.Concat(longs(0x10000), words(3, 2), longs(20+len(places)), words(tinyGlyphs, flags),
		longs(20+len(places)+len(shared)), places, shared, data)
}

// tinyRegions gives a store of variations: how far two places reach, and for each glyph by how much
// it is wider.
func tinyRegions() []byte {
	regions := words(3, 2, 0, one, one, 0, 0, 0, 0, 0, 0, 0, one/2, one, -one, -one, 0, 0, 0, 0)
	data := words(tinyGlyphs, 1, 2, 0, 1)
	for i := range tinyGlyphs {
		data = append(data, 0, byte(100*(i&1)), byte(-i))
	}
	return slices.Concat(words(1), longs(16), words(2), longs(16+len(regions), 16+len(regions)), regions, data)
}

// tinyWidths gives a table HVAR, which says for each glyph where its variation is; format 2: it does
// not say it.
func tinyWidths(format int) []byte {
	var index []byte
	switch format {
	case 0:
		index = append([]byte{0, 0x03}, append(words(3), 0, 0x11, 0x13)...)
	case 1:
		index = slices.Concat([]byte{1, 0x17}, longs(2), words(1, 0x105))
	}
	at := 0
	if index != nil {
		at = 20
	}
	return slices.Concat(longs(0x10000, 20+len(index), at, 0, 0), index, tinyRegions())
}

// tinyVaried gives the tables of a TrueType font that varies, with those of its kind.
func tinyVaried(others map[string][]byte) []byte {
	tables := map[string][]byte{"fvar": tinyAxes(), "gvar": tinyMoves(false)}
	for tag, b := range others {
		tables[tag] = b
	}
	return tinyTrueType(tables)
}
