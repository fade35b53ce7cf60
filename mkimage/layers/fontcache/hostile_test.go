package fontcache

import (
	"encoding/binary"
	"errors"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/image/font/gofont/goregular"

	"deltaup/internal/test/fonttest"
)

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
	properties := func(length int) []byte {
		return tinyPCF("ISO10646", "1", map[string]any{"FOUNDRY": strings.Repeat("x", length), "PIXEL_SIZE": 13}, "FOUNDRY", "PIXEL_SIZE")
	}
	r := releases[fonttest.Release]
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
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		fonts, err := r.patterns(c.content, "/f")
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
