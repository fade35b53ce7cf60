package fontcache

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/go-text/typesetting/font"
	"github.com/go-text/typesetting/font/cff"
	"github.com/go-text/typesetting/font/opentype"
)

// sfnt is a font in a file of tables: TrueType and OpenType.
type sfnt struct {
	*opentype.Loader
	raw       map[string][]byte // tables that were read
	glyphs    int
	parts     int        // glyphs of others that were looked at
	metrics   int        // glyphs that have a width of their own
	names     []sfntName // in their own order
	outlines  *cff.CFF
	outlines2 *cff.CFF2
	whole     *font.Font // of a font that varies
	face      face
}

// table gives a table; nil: there is none, or it is empty. It is an error when it is cut.
func (s *sfnt) table(tag string) ([]byte, error) {
	if b, ok := s.raw[tag]; ok || !s.HasTable(opentype.MustNewTag(tag)) {
		return b, nil
	}
	b, err := s.RawTable(opentype.MustNewTag(tag))
	if err != nil {
		return nil, fmt.Errorf("%w: table %s: %w", errUnread, tag, err)
	}
	if len(b) == 0 {
		b = nil
	}
	s.raw[tag] = b
	return b, nil
}

// has tells whether there is a table with something in it.
func (s *sfnt) has(tag string) bool {
	b, err := s.table(tag)
	return err == nil && b != nil
}

// need gives a table that has at least so many bytes.
func (s *sfnt) need(tag string, size int) ([]byte, error) {
	b, err := s.table(tag)
	if err == nil && len(b) < size {
		err = fmt.Errorf("%w: table %s: %d bytes", errUnread, tag, len(b))
	}
	return b, err
}

// Bounds of a file. Fonts of a collection share tables, and tables may overlap, so neither is
// bounded by the file.
const (
	facesMax  = 256
	tablesMax = 1 << 30 // bytes of the tables of all fonts
	namesMax  = 1 << 12 // names of a font
	textsMax  = 1 << 20 // bytes of these names
)

// signatures is the tag of a table that some fonts have twice, and nobody reads.
const signatures = 0x44534947 // DSIG

// soundSFNT tells whether a file has all tables that its fonts say, each once, and not too many
// bytes of them: the library takes the room for a table as that is said to need it.
func soundSFNT(b []byte) bool {
	be := binary.BigEndian
	places := []int{0}
	if string(b[:4]) == "ttcf" {
		if len(b) < 12 || be.Uint32(b[8:]) > facesMax || len(b) < 12+4*int(be.Uint32(b[8:])) {
			return false
		}
		places = nil
		for i := range int(be.Uint32(b[8:])) {
			places = append(places, int(be.Uint32(b[12+4*i:])))
		}
	}
	whole := int64(0)
	for _, at := range places {
		if at > len(b)-12 || at+12+16*int(be.Uint16(b[at+4:])) > len(b) {
			return false
		}
		seen := map[uint32]bool{}
		for i := range int(be.Uint16(b[at+4:])) {
			r := b[at+12+16*i:]
			tag, offset, size := be.Uint32(r), int64(be.Uint32(r[8:])), int64(be.Uint32(r[12:]))
			whole += size
			if seen[tag] && tag != signatures || offset+size > int64(len(b)) || whole > tablesMax {
				return false
			}
			seen[tag] = true
		}
	}
	return true
}

// readSFNT reads all fonts of a file.
func readSFNT(content []byte) (faces []*face, err error) {
	sound := soundSFNT
	if string(content[:4]) == "wOFF" {
		sound = soundWOFF
	}
	if !sound(content) {
		return nil, fmt.Errorf("%w: its tables", errUnread)
	}
	loaders, err := opentype.NewLoaders(bytes.NewReader(content))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUnread, err)
	}
	for _, l := range loaders {
		s := &sfnt{Loader: l, raw: map[string][]byte{}}
		s.face.woff = string(content[:4]) == "wOFF"
		if err := s.read(); err != nil {
			return nil, err
		}
		faces = append(faces, &s.face)
	}
	return faces, nil
}

// read reads one font. What FreeType would refuse, or takes though it is wrong, is an error.
func (s *sfnt) read() error {
	be := binary.BigEndian
	f := &s.face
	f.sfnt, f.format = true, "TrueType"
	for _, t := range []string{"bhed", "sbix", "CFF2"} {
		if s.has(t) && (t != "CFF2" || s.Type != opentype.OpenType) {
			return fmt.Errorf("%w: table %s", errUnread, t)
		}
	}
	for _, t := range s.Tables() { // none is cut
		if _, err := s.table(t.String()); err != nil {
			return err
		}
	}
	head, err := s.need("head", 54)
	if err != nil {
		return err
	}
	maxp, err := s.need("maxp", 6)
	if err != nil {
		return err
	}
	hhea, err := s.need("hhea", 36)
	if err != nil {
		return err
	}
	if _, err := s.need("hmtx", 1); err != nil {
		return err
	}
	if em := be.Uint16(head[18:]); em < 16 || em > 16384 {
		return errNoFont
	}
	f.revision = int32(be.Uint32(head[4:]))
	s.glyphs, s.metrics = int(be.Uint16(maxp[4:])), int(be.Uint16(hhea[34:]))
	if f.os2, err = s.readOS2(); err != nil {
		return err
	}
	if s.names, err = s.readNames(); err != nil {
		return err
	}
	f.names = sortNames(s.names)
	if err := s.readOutlines(); err != nil {
		return err
	}
	style := be.Uint16(head[44:])
	f.bold, f.italic = style&1 != 0, style&2 != 0
	if f.outlines && f.os2 != nil {
		f.bold, f.italic = f.os2.selection&32 != 0, f.os2.selection&(512|1) != 0
	}
	if err := s.readAxes(); err != nil {
		return err
	}
	if f.hasCapability, f.capability, err = s.capabilities(); err != nil {
		return err
	}
	f.hinted = s.has("prep")
	if err := s.readStrikes(); err != nil {
		return err
	}
	f.color = f.color || s.has("COLR") && s.has("CPAL") || s.has("SVG ")
	f.postScript = s.postScript
	f.advance = s.advance
	return s.readChars()
}

// readOutlines finds out whether there are any, and reads those of PostScript.
func (s *sfnt) readOutlines() error {
	f := &s.face
	f.outlines = s.has("glyf") || s.has("CFF ") || s.has("CFF2")
	if s.Type != opentype.OpenType {
		if s.has("glyf") && !s.has("loca") || s.has("CFF ") {
			return fmt.Errorf("%w: its glyphs", errUnread)
		}
		return nil
	}
	f.format = "CFF"
	var err error
	switch {
	case s.has("CFF2"):
		s.outlines2, err = cff.ParseCFF2(s.raw["CFF2"])
		if err == nil {
			s.glyphs = len(s.outlines2.Charstrings)
		}
	case s.has("CFF "):
		if f.notice, err = cffNotice(s.raw["CFF "]); err != nil {
			return err
		}
		s.outlines, err = cff.Parse(s.raw["CFF "])
		if err == nil {
			s.glyphs = len(s.outlines.Charstrings)
		}
	default:
		return errNoFont
	}
	if err == nil && s.face.os2 == nil {
		return fmt.Errorf("%w: PostScript without OS/2", errUnread)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errUnread, err)
	}
	return nil
}

// readOS2 reads the table of that name; nil: there is none that FreeType takes.
func (s *sfnt) readOS2() (*os2, error) {
	be := binary.BigEndian
	b, err := s.table("OS/2")
	if b == nil || err != nil {
		return nil, err
	}
	if len(b) < 78 {
		return nil, fmt.Errorf("%w: table OS/2: %d bytes", errUnread, len(b))
	}
	o := &os2{
		version: be.Uint16(b), weight: be.Uint16(b[4:]), width: be.Uint16(b[6:]),
		vendor: string(b[58:62]), selection: be.Uint16(b[62:]),
	}
	sizes := []int{78, 86, 96, 96, 96, 100}
	if o.version == 0xffff {
		return nil, nil
	}
	if len(b) < sizes[min(int(o.version), 5)] { // FreeType reads on in the next table
		return nil, fmt.Errorf("%w: table OS/2: %d bytes", errUnread, len(b))
	}
	if o.version >= 1 {
		o.codePages = be.Uint32(b[78:])
	}
	if o.version >= 5 {
		o.lower, o.upper = be.Uint16(b[96:]), be.Uint16(b[98:])
	}
	return o, nil
}

// readNames reads the table of names, without those that FreeType leaves out.
func (s *sfnt) readNames() (names []sfntName, err error) {
	be := binary.BigEndian
	b, err := s.need("name", 6)
	if err != nil {
		return nil, err
	}
	count, storage := int(be.Uint16(b[2:])), int(be.Uint16(b[4:]))
	begin := 6 + 12*count
	if be.Uint16(b) == 1 {
		if len(b) < begin+2 {
			return nil, fmt.Errorf("%w: table name", errUnread)
		}
		begin += 2 + 4*int(be.Uint16(b[begin:]))
	}
	if begin > len(b) {
		return nil, fmt.Errorf("%w: table name", errUnread)
	}
	texts := 0
	for i := range count {
		r := b[6+12*i:]
		length, from := int(be.Uint16(r[8:])), storage+int(be.Uint16(r[10:]))
		if length == 0 || from < begin || from+length > len(b) {
			continue
		}
		if texts += length; len(names) == namesMax || texts > textsMax {
			return nil, fmt.Errorf("%w: more than %d names of %d bytes", errUnread, namesMax, textsMax)
		}
		n := sfntName{be.Uint16(r), be.Uint16(r[2:]), be.Uint16(r[4:]), be.Uint16(r[6:]), b[from : from+length]}
		if be.Uint16(b) == 1 && n.language >= 0x8000 {
			return nil, fmt.Errorf("%w: names with tags of languages", errUnread)
		}
		names = append(names, n)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%w: no names", errUnread)
	}
	return names, nil
}

// capabilities gives the scripts whose layout a font knows.
func (s *sfnt) capabilities() (some bool, text string, err error) {
	var tags []string
	for _, t := range []string{"GSUB", "GPOS"} {
		found, err := s.scripts(t)
		if err != nil {
			return false, "", err
		}
		tags = merge(tags, found)
	}
	if s.has("Silf") {
		some, text = true, "ttable:Silf "
	}
	for _, t := range tags {
		some = true
		if bytes.ContainsFunc([]byte(t), func(c rune) bool {
			return !(c == ' ' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z')
		}) {
			continue
		}
		if text != "" {
			text += " "
		}
		text += "otlayout:" + t
	}
	return some, text, nil
}

// merge merges two sorted lists. What both have next counts once.
func merge(a, b []string) (list []string) {
	for len(a) > 0 || len(b) > 0 {
		switch {
		case len(b) == 0 || len(a) > 0 && a[0] < b[0]:
			list, a = append(list, a[0]), a[1:]
		case len(a) == 0 || b[0] < a[0]:
			list, b = append(list, b[0]), b[1:]
		default:
			list, a, b = append(list, a[0]), a[1:], b[1:]
		}
	}
	return list
}

// scripts gives the tags of the scripts of a table, sorted.
func (s *sfnt) scripts(table string) (tags []string, err error) {
	be := binary.BigEndian
	b, err := s.table(table)
	if b == nil || err != nil {
		return nil, err
	}
	wrong := fmt.Errorf("%w: table %s", errUnread, table)
	if len(b) < 6 || int(be.Uint16(b[4:]))+2 > len(b) {
		return nil, wrong
	}
	list := b[be.Uint16(b[4:]):]
	for i := range int(be.Uint16(list)) {
		r := 2 + 6*i
		if len(list) < r+6 || int(be.Uint16(list[r+4:])) > len(list) {
			return nil, wrong
		}
		tags = append(tags, string(list[r:r+4]))
	}
	slices.Sort(tags)
	return tags, nil
}

// advance gives the widths of an instance's glyphs.
func (s *sfnt) advance(at *instance) func(uint32) int {
	if at != nil && !at.usual(s.face.axes) {
		return s.variedAdvance(at)
	}
	b := s.raw["hmtx"]
	return func(glyph uint32) int {
		place := 4 * min(int(glyph), s.metrics-1)
		if s.metrics == 0 || place+2 > len(b) || int(glyph) < s.metrics && place+4 > len(b) {
			return 0
		}
		return int(binary.BigEndian.Uint16(b[place:]))
	}
}
