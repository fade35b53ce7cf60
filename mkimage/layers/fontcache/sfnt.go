package fontcache

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// read reads one font. What FreeType would refuse, or takes though it is wrong, is an error.
func (s *sfnt) read() error {
	be := binary.BigEndian
	f := &s.face
	f.sfnt, f.format = true, "TrueType"
	for _, t := range []string{"bhed", "sbix", "CFF2"} {
		if s.has(t) && (t != "CFF2" || s.kind != "OTTO") {
			return fmt.Errorf("%w: table %s", errUnread, t)
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
	s.places = be.Uint16(head[50:])
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
	if s.kind != "OTTO" {
		if s.has("glyf") && !s.has("loca") || s.has("CFF ") {
			return fmt.Errorf("%w: its glyphs", errUnread)
		}
		return nil
	}
	f.format = "CFF"
	if !f.outlines || s.has("glyf") && !s.has("CFF ") && !s.has("CFF2") {
		return errNoFont
	}
	if s.face.os2 == nil {
		return fmt.Errorf("%w: PostScript without OS/2", errUnread)
	}
	tag := "CFF "
	if s.has("CFF2") {
		tag = "CFF2"
	}
	var err error
	if s.outlines, err = s.readPostScript(tag); err != nil {
		return err
	}
	s.glyphs, f.notice = len(s.outlines.glyphs), s.outlines.notice
	return nil
}

// readPostScript reads PostScript's glyphs, unless those of the font before were the same.
func (s *sfnt) readPostScript(tag string) (*outlines, error) {
	if e := s.extents[tag]; s.source.outlines == nil || s.outlinesAt != e {
		b, err := s.table(tag)
		if err != nil {
			return nil, err
		}
		if s.source.outlines, err = readOutlines(b, tag == "CFF2", s.work); err != nil {
			return nil, err
		}
		s.outlinesAt = e
	}
	return s.source.outlines, nil
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
	var b strings.Builder
	if s.has("Silf") {
		some = true
		b.WriteString("ttable:Silf ")
	}
	for _, t := range tags {
		some = true
		if bytes.ContainsFunc([]byte(t), func(c rune) bool {
			return !(c == ' ' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z')
		}) {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString("otlayout:" + t)
	}
	return some, b.String(), nil
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
	if !s.has(table) {
		return nil, nil
	}
	wrong := fmt.Errorf("%w: table %s", errUnread, table)
	head, err := s.part(table, 0, 6)
	if err != nil {
		return nil, err
	}
	at := int64(be.Uint16(head[4:]))
	size := s.extents[table].size - at
	list, err := s.part(table, at, 2)
	if err != nil {
		return nil, err
	}
	count := int64(be.Uint16(list))
	if count > scriptsMax {
		return nil, wrong
	}
	records, err := s.part(table, at+2, 6*count)
	if err != nil {
		return nil, err
	}
	for ; len(records) > 0; records = records[6:] {
		if int64(be.Uint16(records[4:])) > size {
			return nil, wrong
		}
		tags = append(tags, string(records[:4]))
	}
	slices.Sort(tags)
	return tags, nil
}

// advance gives the widths of an instance's glyphs.
func (s *sfnt) advance(at *instance) (func(uint32) (int, error), error) {
	b, err := s.table("hmtx")
	if err != nil {
		return nil, err
	}
	if at != nil && !at.usual(s.face.axes) {
		return s.variedAdvance(b, at)
	}
	return func(glyph uint32) (int, error) {
		place := 4 * min(int(glyph), s.metrics-1)
		if s.metrics == 0 || place+2 > len(b) || int(glyph) < s.metrics && place+4 > len(b) {
			return 0, nil
		}
		return int(binary.BigEndian.Uint16(b[place:])), nil
	}, nil
}
