package fontcache

import (
	"encoding/binary"
	"slices"
)

// words gives numbers of 16 bits, as fonts have them.
func words(numbers ...int) (b []byte) {
	for _, n := range numbers {
		b = binary.BigEndian.AppendUint16(b, uint16(n))
	}
	return b
}

// longs gives numbers of 32 bits.
func longs(numbers ...int) (b []byte) {
	for _, n := range numbers {
		b = binary.BigEndian.AppendUint32(b, uint32(n))
	}
	return b
}

// tinyGlyphs is how many glyphs the tiny fonts of tables have.
const tinyGlyphs = 6

// tinyTables gives the tables of a font but for its glyphs. Its characters are empty and drawn
// ones below the space, and letters.
func tinyTables(family string) map[string][]byte {
	head := slices.Concat(longs(0x10000, 0x18000, 0, 0x5f0f3cf5), words(3, 1000), make([]byte, 16),
		words(0, 0, 1000, 1000, 0, 8, 2, 0, 0))
	hhea := slices.Concat(longs(0x10000), words(800, -200, 0, 1000), make([]byte, 22), words(4))
	os2 := slices.Concat(words(5, 500, 600, 5, 0), make([]byte, 48), []byte("TINY"), words(0x40, 8, 0xffff, 800, -200, 0, 800, 200),
		longs(1, 0), words(500, 700, 0, 0x20, 2, 160, 1440))
	return map[string][]byte{
		"head": head, "hhea": hhea, "OS/2": os2, "maxp": words(0, 0x5000, tinyGlyphs),
		"hmtx": words(500, 0, 600, 10, 600, 20, 900, 0, 5, 7),
		"cmap": charTable(microsoftPlatform, 1, segmentTable()),
		"name": textTable(map[int]string{
			nameFamily: family, nameSubfamily: "Regular", nameFull: family + " Regular", namePostScript: family + "-Regular",
			nameTrademark: "a mark of URW", 256: "Heavy", 257: "Black Wide", 258: "Oblique",
		}),
		"prep": {0x4f},
	}
}

// textTable gives a table of names.
func textTable(texts map[int]string) []byte {
	head, body := words(0, len(texts), 6+12*len(texts)), []byte{}
	for id := range 300 {
		text, ok := texts[id]
		if !ok {
			continue
		}
		head = append(head, words(microsoftPlatform, 1, 0x409, id, 2*len(text), len(body))...)
		for _, c := range []byte(text) {
			body = append(body, 0, c)
		}
	}
	return append(head, body...)
}

// charTable gives a table of characters that has one part.
func charTable(platform, encoding int, part []byte) []byte {
	return slices.Concat(words(0, 1, platform, encoding), longs(12), part)
}

// segmentTable gives characters in format 4: one segment has its glyphs in an array.
func segmentTable() []byte {
	segments := [][4]int{ // first, last, delta, offset of the array
		{0x08, 0x08, 4 - 0x08, 0}, {0x0d, 0x0d, 2 - 0x0d, 0}, {0x41, 0x43, 0, 2 * 3}, {0x61, 0x62, 4 - 0x61, 0}, {0xffff, 0xffff, 1, 0},
	}
	segments[2][3] = 2 * (len(segments) - 2)
	b := words(4, 16+8*len(segments)+6, 0, 2*len(segments), 8, 2, 2)
	for _, field := range []int{1, 0, 2, 3} {
		for _, s := range segments {
			b = append(b, words(s[field])...)
		}
		if field == 1 {
			b = append(b, 0, 0)
		}
	}
	return append(b, words(1, 2, 3)...)
}

// charTables gives characters in the other formats.
func charTables() [][]byte {
	bytes := append(words(0, 262, 0), make([]byte, 256)...)
	bytes[6+'A'] = 1
	groups := slices.Concat(longs(2, 0x0d, 0x0d, 2, 0x1f600, 0x1f601, 3))
	return [][]byte{
		charTable(unicodePlatform, 3, bytes),
		charTable(unicodePlatform, 3, words(6, 14, 0, 'A', 2, 1, 2)),
		charTable(unicodePlatform, 4, slices.Concat(words(10, 0), longs(24, 0, 'A', 2), words(1, 2))),
		charTable(microsoftPlatform, 10, slices.Concat(words(12, 0), longs(12+4+24, 0), groups)),
		charTable(unicodePlatform, 4, slices.Concat(words(13, 0), longs(12+4+24, 0), groups)),
		charTable(microsoftPlatform, 0, slices.Concat(words(4, 32, 0, 4, 4, 1, 0, 0xf042, 0xffff, 0, 0xf041, 0xffff, 1-0xf041, 1, 0, 0))),
	}
}

// tinyTrueType gives a font whose glyphs are nothing, a triangle, and made of others.
func tinyTrueType(others map[string][]byte) []byte {
	box := words(0, 0, 500, 700)
	triangle := slices.Concat(words(1), box, words(2, 0), []byte{1, 1, 1}, words(0, 500, -250, 0, 0, 700), []byte{0})
	part := func(flags, glyph int, arguments ...byte) []byte { return append(words(flags, glyph), arguments...) }
	glyphs := [tinyGlyphs][]byte{
		1: triangle,
		2: slices.Concat(words(-1), box, part(0x22, 4, 0, 0), part(0x223, 1, 0, 1, 0, 1), part(0x2a, 1, 1, 1, 0x20, 0),
			part(0x62, 1, 1, 1, 0x20, 0, 0x20, 0), part(0x82, 1, 1, 1, 0x20, 0, 0, 0, 0, 0, 0x20, 0)),
		3: slices.Concat(words(-1), box, part(0x202, 2, 0, 0)),
		5: triangle,
	}
	var loca, glyf []byte
	for _, g := range glyphs {
		loca = append(loca, words(len(glyf)/2)...)
		glyf = append(append(glyf, g...), make([]byte, len(g)&1)...)
	}
	tables := tinyTables("TinyTrue")
	tables["loca"], tables["glyf"] = append(loca, words(len(glyf)/2)...), glyf
	tables["maxp"] = slices.Concat(longs(0x10000), words(tinyGlyphs, 3, 1, 3, 1, 1, 0, 0, 0, 0, 0, 0, 5, 3))
	for tag, b := range others {
		tables[tag] = b
	}
	return withTables([]byte("\x00\x01\x00\x00\x00\x00"), tables)
}

// tinyStrikes gives tables of a font of bitmaps: of two sizes, without a bitmap, and the properties
// of one.
func tinyStrikes() map[string][]byte {
	strike := func(ppem byte) []byte {
		b := make([]byte, strikeSize)
		b[16], b[17], b[44], b[45], b[46], b[47] = ppem, 0xfe, ppem, ppem, 1, 1
		return b
	}
	texts := "SPACING\x00C\x00PIXEL_SIZE\x00"
	return map[string][]byte{
		"EBLC": slices.Concat(longs(0x20000, 2), strike(13), strike(16)),
		"BDF ": slices.Concat(words(1, 2), longs(16+10*3), words(13, 1, 16, 2), longs(0), words(0x10), longs(8),
			longs(0), words(0x10), longs(8), longs(10), words(0x12), longs(16), []byte(texts)),
		"glyf": nil, "loca": nil,
	}
}

// tinyLayout gives a table that knows two scripts.
func tinyLayout() []byte {
	return slices.Concat(longs(0x10000), words(10, 0, 0, 2), []byte("latn"), words(14), []byte("cyrl"), words(14))
}
