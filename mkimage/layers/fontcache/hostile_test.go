package fontcache

import (
	"bytes"
	"encoding/binary"
	"errors"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/image/font/gofont/gomono"
	"golang.org/x/image/font/gofont/goregular"

	"deltaup/internal/test/fonttest"
	"deltaup/internal/test/treetest"
	"deltaup/mkimage/internal/lookup"
)

// inMemory gives a file that has these bytes.
func inMemory(content []byte) *source {
	return newSource(bytes.NewReader(content), int64(len(content)))
}

// withTables gives a font in which tables are others, or new.
func withTables(font []byte, others map[string][]byte) []byte {
	be := binary.BigEndian
	tables := map[string][]byte{}
	for i := range int(be.Uint16(font[4:])) {
		r := font[12+16*i:]
		tables[string(r[:4])] = font[be.Uint32(r[8:]) : be.Uint32(r[8:])+be.Uint32(r[12:])]
	}
	maps.Copy(tables, others)
	out := append(be.AppendUint16(slices.Clone(font[:4]), uint16(len(tables))), make([]byte, 6)...)
	var body []byte
	for _, tag := range slices.Sorted(maps.Keys(tables)) {
		out = append(append(out, tag...), 0, 0, 0, 0)
		out = be.AppendUint32(out, uint32(12+16*len(tables)+len(body)))
		out = be.AppendUint32(out, uint32(len(tables[tag])))
		body = append(body, tables[tag]...)
		body = append(body, make([]byte, -len(body)&3)...)
	}
	return append(out, body...)
}

// repeated gives a font as one file that has it so many times, from the same bytes.
func repeated(font []byte, count int) []byte {
	be := binary.BigEndian
	head := be.AppendUint32([]byte("ttcf\x00\x01\x00\x00"), uint32(count))
	size := uint32(len(head) + 4*count)
	for range count {
		head = be.AppendUint32(head, size)
	}
	font = slices.Clone(font)
	for i := range int(be.Uint16(font[4:])) { // tables count from the file's begin
		r := font[12+16*i+8:]
		be.PutUint32(r, be.Uint32(r)+size)
	}
	return append(head, font...)
}

// allChars gives a table that has all characters of Unicode, with the same glyph.
func allChars() []byte {
	b := []byte{0, 0, 0, 1, 0, 3, 0, 10, 0, 0, 0, 12, 0, 13, 0, 0}
	for _, n := range []uint32{28, 0, 1, 0x20, charsMax - 1, 1} {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	return b
}

// familyTable gives a table of count families, which all are one letter.
func familyTable(count int) []byte {
	b := nameTable(count, 2)
	b[len(b)-1] = 'A'
	for i := range count {
		copy(b[6+12*i+4:], []byte{byte(i >> 8), byte(i), 0, nameFamily})
	}
	return b
}

// nameTable gives a table of count names, which all are the same text.
func nameTable(count, length int) []byte {
	be := binary.BigEndian
	b := be.AppendUint16(be.AppendUint16(make([]byte, 2), uint16(count)), uint16(6+12*count))
	for i := range count {
		for _, n := range []int{microsoftPlatform, 1, 0x409, 256 + i, length, 0} {
			b = be.AppendUint16(b, uint16(n))
		}
	}
	return append(b, make([]byte, length)...)
}

// variations gives the tables of a font that has one axis and as many instances.
func variations(font []byte, instances int) map[string][]byte {
	be := binary.BigEndian
	fvar := []byte{0, 1, 0, 0, 0, 16, 0, 2, 0, 1, 0, 20}
	fvar = be.AppendUint16(be.AppendUint16(fvar, uint16(instances)), 8)
	fvar = append(fvar, "wght"...)
	for _, n := range []uint32{100 << 16, 400 << 16, 900 << 16, 256} {
		fvar = be.AppendUint32(fvar, n)
	}
	for i := range instances {
		fvar = be.AppendUint32(be.AppendUint32(fvar, 2<<16), uint32(100<<16+i))
	}
	glyphs := 0
	for i := range int(be.Uint16(font[4:])) {
		if r := font[12+16*i:]; string(r[:4]) == "maxp" {
			glyphs = int(be.Uint16(font[be.Uint32(r[8:])+4:]))
		}
	}
	gvar := append([]byte{0, 1, 0, 0, 0, 1, 0, 0}, make([]byte, 4)...)
	gvar = be.AppendUint16(gvar, uint16(glyphs))
	gvar = be.AppendUint32(append(gvar, 0, 0), uint32(20+2*(glyphs+1)))
	gvar = append(gvar, make([]byte, 2*(glyphs+1))...)
	return map[string][]byte{"fvar": fvar, "gvar": gvar}
}

// sharedRows gives a store of variations that has the same many rows without numbers so often.
func sharedRows(count int) []byte {
	regions, rows := words(3, 0), words(0xffff, 0, 0)
	at := 8 + 4*count
	store := slices.Concat(words(1), longs(at), words(count))
	for range count {
		store = append(store, longs(at+len(regions))...)
	}
	return slices.Concat(store, regions, rows)
}

// TestBounds demands that small files which ask for much memory are not read, nor that memory
// taken, and that the same files within the bounds are read.
func TestBounds(t *testing.T) {
	overlapping := func(count int) []byte {
		b := make([]byte, 4<<20)
		copy(b, "\x00\x01\x00\x00")
		binary.BigEndian.PutUint16(b[4:], uint16(count))
		for i := range count {
			r := b[12+16*i:]
			binary.BigEndian.PutUint32(r, uint32(i+1))
			binary.BigEndian.PutUint32(r[12:], uint32(len(b)))
		}
		return b
	}
	shared := append([]byte("ttcf\x00\x01\x00\x00\x00\x00\x01\x00"), make([]byte, 4*facesMax)...)
	for i := range facesMax {
		binary.BigEndian.PutUint32(shared[12+4*i:], uint32(len(shared)))
	}
	shared = append(shared, overlapping(2)...)
	named := func(count, length int) []byte {
		return withTables(goregular.TTF, map[string][]byte{"name": nameTable(count, length)})
	}
	varied := func(instances int) []byte {
		return withTables(goregular.TTF, variations(goregular.TTF, instances))
	}
	variedMono := func(instances int) []byte {
		return withTables(gomono.TTF, variations(gomono.TTF, instances))
	}
	everything := withTables(goregular.TTF, map[string][]byte{"cmap": allChars()})
	properties := func(length int) []byte {
		return tinyPCF("ISO10646", "1", map[string]any{"FOUNDRY": strings.Repeat("x", length), "PIXEL_SIZE": 13}, "FOUNDRY", "PIXEL_SIZE")
	}
	open := func(tag string, b []byte) []byte { return tinyOpenType(map[string][]byte{tag: b}) }
	r := releases[fonttest.Release]
	r.lenient = true // of families with blanks
	for name, c := range map[string]struct {
		content []byte
		wrong   string // "": it is read
	}{
		"overlapping tables": {overlapping(300), "its tables"},
		"shared tables":      {shared, "its tables"},
		"names":              {named(namesMax, 2), ""},
		"many names":         {named(namesMax+1, 2), "names"},
		"long names":         {named(100, 60000), "names"},
		"properties":         {properties(propertyMax - 1), ""},
		"long properties":    {properties(propertyMax), "its tables"},
		"instances":          {varied(100), ""},
		"many instances":     {varied(patternsMax + 1), "instances"},
		"all characters":     {everything, ""},
		"often":              {repeated(everything, facesMax), "too much work"},
		"of one width":       {variedMono(10), ""},
		"often of one width": {variedMono(patternsMax), "too much work"},
		"dictionaries":       {open("CFF ", cffTable(0, dictionariesMax, nil)), ""},
		"many dictionaries":  {open("CFF ", cffTable(0, dictionariesMax+1, nil)), "its glyphs"},
		"subroutines":        {open("CFF ", cffTable(0, 2, make([][]byte, 60000)...)), ""},
		"shared ones":        {open("CFF ", cffTable(0, 200, make([][]byte, 60000)...)), "too much work"},
		"variations":         {open("CFF2", cff2Table(-1, sharedRows(10))), ""},
		"shared variations":  {open("CFF2", cff2Table(-1, sharedRows(10000))), "too much work"},
		"often named": {withTables(varied(patternsMax), map[string][]byte{
			"name": familyTable(namesMax),
		}), "too much work"},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		fonts, err := r.patterns(inMemory(c.content), "/f")
		runtime.ReadMemStats(&after)
		switch {
		case c.wrong == "" && (err != nil || len(fonts) == 0):
			t.Errorf("%s: %d fonts, %v", name, len(fonts), err)
		case c.wrong != "" && (!errors.Is(err, errUnread) || !strings.Contains(err.Error(), c.wrong)):
			t.Errorf("%s: %d fonts, %v", name, len(fonts), err)
		}
		if taken := after.TotalAlloc - before.TotalAlloc; taken > 512<<20 {
			t.Errorf("%s: takes %d bytes", name, taken)
		}
	}
}

// TestSubroutines demands that a glyph of PostScript whose subroutines call one another is drawn
// for no longer than others.
func TestSubroutines(t *testing.T) {
	const call, back, end, line, move = 29, 11, 14, 5, 21
	number := func(n int) byte { return byte(139 + n) }
	draw := func(glyph []byte, global ...[]byte) (bool, error) {
		o := &outlines{glyphs: [][]byte{glyph}, global: global, width: 2}
		return o.drawn(0)
	}
	first := number(-107)
	lines := []byte{number(5), number(5), line, back}
	for name, c := range map[string]struct {
		glyph []byte
		drawn bool
	}{
		"nothing": {[]byte{end}, false},
		"moves":   {[]byte{number(0), number(0), move, end}, false},
		"lines":   {[]byte{number(1), number(1), move, first, call, end}, true},
	} {
		if drawn, err := draw(c.glyph, lines); drawn != c.drawn || err != nil {
			t.Errorf("%s: %v, %v", name, drawn, err)
		}
	}
	o := &outlines{glyphs: [][]byte{charstring(1, 2, 3, 1, 1016, 1022, 5, 1006)}, two: true, width: 4}
	if drawn, err := o.drawn(0); !errors.Is(err, errUnread) {
		t.Errorf("of numbers that vary: %v, %v", drawn, err)
	}
	var nested [][]byte
	for i := range 9 {
		nested = append(nested, append(bytes.Repeat([]byte{first + byte(i) + 1, call}, 1000), back))
	}
	nested = append(nested, []byte{back})
	if drawn, err := draw([]byte{first, call, end}, nested...); !errors.Is(err, errTooLong) {
		t.Errorf("nested: %v, %v", drawn, err)
	}
}

// TestRoom demands that a folder whose cache has no room left has none.
func TestRoom(t *testing.T) {
	root := t.TempDir()
	populate(t, root, "", fonttest.Release)
	r := releases[fonttest.Release]
	for room, want := range map[int]error{1 << 20: nil, 1 << 10: errUnread} {
		b := &builder{root: lookup.New(treetest.Open(t, root)), release: &r, config: &config{}, room: room}
		_, _, err := b.folder("/usr/share/fonts/Go", b.root.Stat("/usr/share/fonts/Go"))
		if !errors.Is(err, want) || err == nil && b.room == room {
			t.Errorf("room of %d: %d left, %v", room, b.room, err)
		}
	}
}
