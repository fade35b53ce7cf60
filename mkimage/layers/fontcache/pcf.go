package fontcache

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/benoitkugler/textlayout/fonts/bitmap"
)

// readGzip reads a compressed font: only those of X11 may be.
func readGzip(content []byte) (*face, error) {
	r, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUnread, err)
	}
	r.Multistream(false)
	b, err := io.ReadAll(io.LimitReader(r, unpackedMax+1))
	if err != nil || len(b) > unpackedMax {
		return nil, fmt.Errorf("%w: %d bytes of it, %w", errUnread, len(b), err)
	}
	if !strings.HasPrefix(string(b), "\x01fcp") {
		return nil, errNoFont
	}
	return readPCF(b)
}

// readPCF reads a bitmap font of X11.
func readPCF(content []byte) (*face, error) {
	if !soundPCF(content) {
		return nil, fmt.Errorf("%w: its tables", errUnread)
	}
	p, err := bitmap.Parse(bytes.NewReader(content))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUnread, err)
	}
	f := &face{format: "PCF", properties: map[string]any{}, chars: &charSet{}}
	for _, name := range []string{
		"FOUNDRY", "FAMILY_NAME", "WEIGHT_NAME", "SLANT", "SETWIDTH_NAME", "ADD_STYLE_NAME", "PIXEL_SIZE", "POINT_SIZE",
		"AVERAGE_WIDTH", "RELATIVE_SETWIDTH", "SPACING", "RESOLUTION_Y", "CHARSET_REGISTRY", "CHARSET_ENCODING",
	} {
		switch v := p.GetBDFProperty(name).(type) {
		case bitmap.Atom:
			f.properties[name] = string(v)
		case bitmap.Int:
			f.properties[name] = int32(v)
		}
	}
	if f.sizes, err = f.sizeOfProperties(); err != nil {
		return nil, err
	}
	f.nameOfProperties()
	f.postScript = func(*freetype, *instance) (string, error) { return "", nil }
	advance := func(glyph uint32) (int, error) {
		w, err := p.GetAdvance(uint16(glyph))
		if err != nil {
			return 0, nil // it is not known
		}
		return int(w), nil
	}
	f.advance = func(*instance) (func(uint32) (int, error), error) { return advance, nil }
	var glyphs []uint32
	if f.unicodeRegistry() {
		chars, _ := p.Cmap()
		for i := chars.Iter(); i.Next(); {
			c, glyph := i.Char()
			if _, err := p.GetAdvance(uint16(glyph)); err != nil || glyph == 0xffff {
				continue
			}
			f.chars.add(uint32(c))
			glyphs = append(glyphs, uint32(glyph))
		}
	}
	f.glyphs = func(yield func(uint32) bool) {
		for _, g := range glyphs {
			if !yield(g) {
				return
			}
		}
	}
	return f, nil
}

// propertyMax is how many bytes the name or the text of a property may have, with the zero behind
// it. They may overlap.
const propertyMax = 4 << 10

// soundPCF tells whether the tables of a font are as FreeType demands, and its properties such that
// the library takes them as FreeType does: each once, and said to be either a text or a number.
func soundPCF(b []byte) bool {
	le := binary.LittleEndian
	if len(b) < 8 || le.Uint32(b[4:]) > 9 || len(b) < 8+16*int(le.Uint32(b[4:])) {
		return false
	}
	type table struct{ kind, size, offset int64 }
	var tables []table
	for i := range int(le.Uint32(b[4:])) {
		r := b[8+16*i:]
		tables = append(tables, table{int64(le.Uint32(r)), int64(le.Uint32(r[8:])), int64(le.Uint32(r[12:]))})
	}
	slices.SortFunc(tables, func(x, y table) int { return cmp.Compare(x.offset, y.offset) })
	seen := map[int64]bool{}
	for i, t := range tables {
		if i < len(tables)-1 && t.offset+t.size > tables[i+1].offset || t.offset > int64(len(b)) ||
			seen[t.kind] {
			return false
		}
		seen[t.kind] = true
		if t.kind == 1 && !soundProperties(b[t.offset:]) {
			return false
		}
	}
	return true
}

// soundProperties tells it of the table of properties: its format, their number, and 9 bytes each:
// the place of the name, whether it is a text, the value.
func soundProperties(b []byte) bool {
	if len(b) < 8 {
		return false
	}
	order := binary.ByteOrder(binary.LittleEndian)
	if b[0]&4 != 0 {
		order = binary.BigEndian
	}
	count := int64(order.Uint32(b[4:]))
	texts := 8 + 9*count + -count&3 + 4
	if binary.LittleEndian.Uint32(b)&^0xff != 0 || count > 256 || texts > int64(len(b)) {
		return false
	}
	text := func(offset uint32) (string, bool) {
		at := texts + int64(offset)
		if at >= int64(len(b)) {
			return "", false
		}
		s, _, ok := bytes.Cut(b[at:min(at+propertyMax, int64(len(b)))], []byte{0})
		return string(s), ok
	}
	seen := map[string]bool{}
	for i := range count {
		r := b[8+9*i:]
		name, ok := text(order.Uint32(r))
		if r[4] == 1 && ok {
			_, ok = text(order.Uint32(r[5:]))
		}
		if r[4] > 1 || !ok || seen[name] {
			return false
		}
		seen[name] = true
	}
	return true
}

// sizeOfProperties gives the size in pixels that a bitmap font's properties tell.
func (f *face) sizeOfProperties() ([]float64, error) {
	var points, resolution int64
	for _, name := range []string{"PIXEL_SIZE", "POINT_SIZE", "RESOLUTION_Y", "AVERAGE_WIDTH"} {
		n, ok := f.properties[name].(int32)
		if _, there := f.properties[name]; there && (!ok || n < 0 || n > 0x7fff) {
			return nil, fmt.Errorf("%w: %s", errUnread, name)
		}
		switch {
		case name == "PIXEL_SIZE" && ok:
			return []float64{float64(n)}, nil
		case name == "POINT_SIZE":
			points = int64(n)
		case name == "RESOLUTION_Y":
			resolution = int64(n)
		}
	}
	// tenths of a point, of which 722.7 are an inch, in 64ths of a pixel
	pixels := (points*64*7200 + 72270/2) / 72270
	if resolution != 0 {
		pixels = (pixels*resolution + 36) / 72
	}
	return []float64{float64(pixels) / 64}, nil
}

// unicodeRegistry tells whether the characters' numbers are those of Unicode.
func (f *face) unicodeRegistry() bool {
	registry, _ := f.properties["CHARSET_REGISTRY"].(string)
	encoding, _ := f.properties["CHARSET_ENCODING"].(string)
	if len(registry) < 3 || !strings.EqualFold(registry[:3], "iso") {
		return false
	}
	switch registry[3:] {
	case "10646":
		return true
	case "8859":
		return encoding == "1"
	case "646.1991":
		return encoding == "IRV"
	}
	return false
}

// nameOfProperties gives the family and style that FreeType makes of a bitmap font's properties.
func (f *face) nameOfProperties() {
	text := func(name string) string {
		s, _ := f.properties[name].(string)
		return s
	}
	begins := func(name, letters string) bool {
		s := text(name)
		return s != "" && strings.IndexByte(letters, s[0]) >= 0
	}
	var words []string
	if s := text("ADD_STYLE_NAME"); s != "" && !begins("ADD_STYLE_NAME", "Nn") {
		words = append(words, strings.ReplaceAll(s, " ", "-"))
	}
	if f.bold = begins("WEIGHT_NAME", "Bb"); f.bold {
		words = append(words, "Bold")
	}
	f.italic = begins("SLANT", "OoIi")
	if begins("SLANT", "Oo") {
		words = append(words, "Oblique")
	} else if f.italic {
		words = append(words, "Italic")
	}
	if s := text("SETWIDTH_NAME"); s != "" && !begins("SETWIDTH_NAME", "Nn") {
		words = append(words, strings.ReplaceAll(s, " ", "-"))
	}
	if f.style = strings.Join(words, " "); f.style == "" {
		f.style = "Regular"
	}
	family, ok := f.properties["FAMILY_NAME"].(string)
	if !ok {
		return
	}
	f.family, f.longFamily = family, family
	if maker, ok := f.properties["FOUNDRY"].(string); ok {
		f.longFamily = maker + " " + family
	}
	width, known := f.properties["AVERAGE_WIDTH"].(int32)
	if points, ok := f.properties["POINT_SIZE"].(int32); ok && known && width >= points {
		f.longFamily += " Wide"
	}
}
