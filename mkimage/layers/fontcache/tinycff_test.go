package fontcache

import "slices"

// cffParts is the inverse of cffIndex.
func cffParts(width int, parts ...[]byte) (b []byte) {
	count := longs(len(parts))[4-width:]
	if len(parts) == 0 {
		return count
	}
	at := 1
	b = append(append(b, count...), 2)
	b = append(b, words(at)...)
	for _, p := range parts {
		at += len(p)
		b = append(b, words(at)...)
	}
	return append(b, slices.Concat(parts...)...)
}

// cffNumber gives a number of a dictionary, always of as many bytes.
func cffNumber(n int) []byte { return append([]byte{29}, longs(n)...) }

// cffEntry gives numbers and their operator.
func cffEntry(operator int, numbers ...int) (b []byte) {
	for _, n := range numbers {
		b = append(b, cffNumber(n)...)
	}
	if operator >= escape {
		b = append(b, escape>>8)
	}
	return append(b, byte(operator))
}

// charstring gives numbers from -107 to 107 and operators, which are beyond 1000.
func charstring(tokens ...int) (b []byte) {
	for _, t := range tokens {
		if t >= 1000 {
			b = append(b, byte(t-1000))
		} else {
			b = append(b, byte(t+139))
		}
	}
	return b
}

// everyLine draws with each operator that draws or moves.
func everyLine() (b []byte) {
	for _, op := range []struct{ numbers, operator int }{
		{2, 21}, {2, 5}, {1, 6}, {1, 7}, {6, 8}, {8, 24}, {8, 25}, {4, 26}, {4, 27}, {4, 30}, {4, 31},
		{1, 22}, {7, escape | 34}, {13, escape | 35}, {1, 4}, {9, escape | 36}, {11, escape | 37},
	} {
		for i := range op.numbers {
			b = append(b, charstring(i+1)...)
		}
		if op.operator >= escape {
			b = append(b, escape>>8)
		}
		b = append(b, byte(op.operator))
	}
	return b
}

// tinyCFF gives a table of PostScript's glyphs, with one dictionary for all, or with one of two for
// each in the ranges of a format.
func tinyCFF(format int) []byte { return cffTable(format, 2, []byte{144, 144, 5, 11}) }

// cffTable gives one with so many dictionaries, and these subroutines of each.
func cffTable(format, count int, subroutines ...[]byte) []byte {
	const end, local, global = 1014, 1010, 1029
	stems := charstring(1, 2, 1018, 3, 4, 1023, 1019)
	drawn := slices.Concat(stems, []byte{0x80}, everyLine(), charstring(-107, local, -107, global, end))
	glyphs := cffParts(2, charstring(end), charstring(0, 0, 1021, -107, global, end), drawn,
		charstring(5, 1022, -107, local, end), charstring(10, 1022, end), charstring(5, 5, 1021, 9, 9, 1005, end))
	lines := cffParts(2, subroutines...)
	private := slices.Concat([]byte{30, 0x1a, 0x5f, 20, 28, 1, 0, 21}, cffEntry(opSubroutines, 8+6), lines)
	size := len(private) - len(lines)
	begin := []byte{1, 0, 4, 2}
	names, texts := cffParts(2, []byte("Tiny")), cffParts(2, []byte("Copyright (URW)++"), []byte("Adobe"), []byte("Identity"))
	several := format >= 0
	fonts := func(at int) []byte {
		d := cffEntry(opPrivate, size, at)
		return cffParts(2, slices.Repeat([][]byte{d}, count)...)
	}
	which := append([]byte{0}, 0, 1, 1, 0, 0, 0)
	if format == 3 {
		which = slices.Concat([]byte{3}, words(2, 0), []byte{1}, words(3), []byte{0}, words(tinyGlyphs))
	}
	// the top dictionary has as many bytes whatever the places are
	var table []byte
	at := [4]int{}
	for range 2 {
		var top []byte
		if several {
			top = cffEntry(escape|30, cffStrings+1, cffStrings+2, 0)
		}
		top = slices.Concat(top, cffEntry(opNotice, cffStrings), []byte{141, escape >> 8, 6}, cffEntry(17, at[0]))
		if several {
			top = slices.Concat(top, cffEntry(opFonts, at[2]), cffEntry(opSelect, at[3]))
		} else {
			top = append(top, cffEntry(opPrivate, size, at[1])...)
		}
		table = slices.Concat(begin, names, cffParts(2, top), texts, lines)
		at[0] = len(table)
		table = append(table, glyphs...)
		at[1] = len(table)
		table = append(table, private...)
		at[2] = len(table)
		table = append(table, fonts(at[1])...)
		at[3] = len(table)
		table = append(table, which...)
	}
	return table
}

// tinyCFF2 gives such a table for a font that varies.
func tinyCFF2(format int) []byte { return cff2Table(format, tinyRegions()) }

// cff2Table gives one with this store of variations.
func cff2Table(format int, store []byte) []byte {
	const local, global = 1010, 1029
	drawn := slices.Concat(everyLine(), charstring(-107, local, -107, global))
	glyphs := cffParts(4, nil, charstring(0, 0, 1021, -107, global), drawn, charstring(5, 1022, -107, local), nil, charstring(5, 1022))
	lines := cffParts(4, charstring(5, 5, 1005))
	private := slices.Concat(cffEntry(22, 1), cffEntry(opSubroutines, 6+6), lines)
	size := len(private) - len(lines)
	store = append(words(len(store)), store...)
	which := append([]byte{0}, 0, 1, 1, 0, 0, 0)
	if format == 3 {
		which = slices.Concat([]byte{3}, words(2, 0), []byte{1}, words(3), []byte{0}, words(tinyGlyphs))
	}
	var table []byte
	at := [5]int{}
	for range 2 {
		top := slices.Concat(cffEntry(17, at[0]), cffEntry(opFonts, at[2]), cffEntry(24, at[4]))
		font := cffEntry(opPrivate, size, at[1])
		fonts := cffParts(4, font)
		if format >= 0 {
			top = append(top, cffEntry(opSelect, at[3])...)
			fonts = cffParts(4, font, font)
		}
		table = slices.Concat([]byte{2, 0, 5}, words(len(top)), top, lines)
		at[0] = len(table)
		table = append(table, glyphs...)
		at[1] = len(table)
		table = append(table, private...)
		at[2] = len(table)
		table = append(table, fonts...)
		at[3] = len(table)
		table = append(table, which...)
		at[4] = len(table)
		table = append(table, store...)
	}
	return table
}

// tinyOpenType gives a font with tables of PostScript's glyphs.
func tinyOpenType(others map[string][]byte) []byte {
	tables := tinyTables("TinyOpen")
	for tag, b := range others {
		tables[tag] = b
	}
	return withTables([]byte("OTTO\x00\x00"), tables)
}
