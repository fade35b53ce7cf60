package fontcache

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"strings"
)

// encipher is the inverse of decipher.
func encipher(b []byte, key uint16) []byte {
	out := make([]byte, len(b))
	for i, c := range b {
		out[i] = c ^ byte(key>>8)
		key = (uint16(out[i])+key)*52845 + 22719
	}
	return out
}

// tinyType1 gives the parts of a PostScript font whose glyphs are no drawings.
func tinyType1(name string, widths ...int) (text, secret []byte) {
	text = fmt.Appendf(nil, `%%!PS-AdobeFont-1.0: %[1]s 1.0
%% a comment with /FamilyName (none)
12 dict begin
/FontInfo 9 dict dup begin
/Notice (Copyright by (URW)++ \) and others) readonly def
/FullName (Tiny %[1]s Italic) readonly def
/FamilyName (Tiny) readonly def
/Weight (Bold) readonly def
/ItalicAngle -12.5 def
/isFixedPitch false def
end readonly def
/FontName /Tiny-%[1]s def
/PaintType 0 def
/FontType 1 def
/FontMatrix [0.001 0 0 0.001 0 0] readonly def
/Encoding StandardEncoding def
/FontBBox {0 0 1000 1000} readonly def
currentdict end
currentfile eexec
`, name)
	var p bytes.Buffer
	names := []string{".notdef", "A", "B.alt", "uni0416", "space", "hyphen", "u1F600", "mu", "foo", "Delta", "uni0394", "a99"}
	fmt.Fprintf(&p, "\x00\x00\x00\x00dup /Private 8 dict dup begin\n/RD {string currentfile exch readstring pop} executeonly def\n"+
		"/ND {noaccess def} executeonly def\n/NP {noaccess put} executeonly def\n/BlueValues [] def\n/MinFeature {16 16} def\n"+
		"/password 5839 def\n/Subrs 1 array\ndup 0 5 RD ")
	p.Write(encipher([]byte{0, 0, 0, 0, 11}, charstringKey))
	fmt.Fprintf(&p, " NP\nND\n2 index /CharStrings %d dict dup begin\n", len(names))
	for i, n := range names {
		w := widths[i%len(widths)]
		glyph := encipher([]byte{0, 0, 0, 0, 139, byte(247 + (w-108)>>8), byte(w - 108), 13, 14}, charstringKey)
		fmt.Fprintf(&p, "/%s %d RD %s ND\n", n, len(glyph), glyph)
	}
	p.WriteString("end\nend\nreadonly put\nnoaccess put\ndup/FontName get exch definefont pop\nmark currentfile closefile\n")
	return text, encipher(p.Bytes(), eexecKey)
}

// tinyPFB gives such a font in segments.
func tinyPFB() (out []byte) {
	text, secret := tinyType1("Bold", 600, 500, 700, 900)
	for i, part := range [][]byte{text, secret, []byte(strings.Repeat("0", 64) + "\ncleartomark\n")} {
		out = append(out, 0x80, []byte{1, 2, 1}[i])
		out = append(binary.LittleEndian.AppendUint32(out, uint32(len(part))), part...)
	}
	return append(out, 0x80, 3)
}

// tinyPFA gives one whose cipher is in digits.
func tinyPFA() []byte {
	text, secret := tinyType1("Medium", 600)
	text = bytes.Replace(text, []byte("(Bold)"), []byte("(Medium)"), 1)
	return fmt.Appendf(text, "%x\n%s\ncleartomark\n", secret, strings.Repeat("0", 64))
}

// tinyPCF gives a bitmap font with these properties, of four bytes a number or texts.
func tinyPCF(registry, encoding string, properties map[string]any, names ...string) []byte {
	le := binary.LittleEndian
	texts := []byte{}
	text := func(s string) uint32 {
		texts = append(texts, s+"\x00"...)
		return uint32(len(texts) - len(s) - 1)
	}
	table := le.AppendUint32(make([]byte, 4), uint32(len(names)+2))
	property := func(name string, v any) {
		table = le.AppendUint32(table, text(name))
		if s, ok := v.(string); ok {
			table = le.AppendUint32(append(table, 1), text(s))
		} else {
			table = le.AppendUint32(append(table, 0), uint32(v.(int)))
		}
	}
	property("CHARSET_REGISTRY", registry)
	property("CHARSET_ENCODING", encoding)
	for _, n := range names {
		property(n, properties[n])
	}
	if odd := (len(names) + 2) & 3; odd != 0 {
		table = append(table, make([]byte, 4-odd)...)
	}
	table = append(le.AppendUint32(table, uint32(len(texts))), texts...)
	metric := []byte{0, 0, 8, 0, 8, 0, 7, 0, 1, 0, 0, 0}
	const glyphs = 3
	accelerators := append(make([]byte, 12), 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0)
	accelerators = append(append(accelerators, metric...), metric...)
	metrics := append(le.AppendUint32(make([]byte, 4), glyphs), bytes.Repeat(metric, glyphs)...)
	bitmaps := le.AppendUint32(make([]byte, 4), glyphs)
	for i := range uint32(glyphs) {
		bitmaps = le.AppendUint32(bitmaps, 8*i)
	}
	for i := range uint32(4) {
		bitmaps = le.AppendUint32(bitmaps, 8*glyphs<<i)
	}
	bitmaps = append(bitmaps, make([]byte, 8*glyphs)...)
	encodings := []byte{0, 0, 0, 0, 10, 0, 100, 0, 0, 0, 4, 0, 64, 0}
	for i := range (100 - 10 + 1) * 5 {
		glyph := uint16(0xffff)
		if i%3 == 0 {
			glyph = uint16(i % glyphs)
		}
		encodings = le.AppendUint16(encodings, glyph)
	}
	parts := [][]byte{table, accelerators, metrics, bitmaps, encodings}
	out := le.AppendUint32([]byte("\x01fcp"), uint32(len(parts)))
	at := len(out) + 16*len(parts)
	var body []byte
	for i, p := range parts {
		p = append(p, make([]byte, -len(p)&3)...)
		out = le.AppendUint32(out, []uint32{1, 2, 4, 8, 32}[i])
		out = le.AppendUint32(out, 0)
		out = le.AppendUint32(out, uint32(len(p)))
		out = le.AppendUint32(out, uint32(at+len(body)))
		body = append(body, p...)
	}
	return append(out, body...)
}

// gzipped packs a font.
func gzipped(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Write(b) // a buffer takes all
	w.Close()
	return out.Bytes()
}

// woff packs a font's tables.
func woff(font []byte) []byte {
	be := binary.BigEndian
	count := int(be.Uint16(font[4:]))
	head := append([]byte("wOFF"), font[:4]...)
	var records, body []byte
	whole := 12 + 16*count
	for i := range count {
		r := font[12+16*i:]
		table := font[be.Uint32(r[8:]) : be.Uint32(r[8:])+be.Uint32(r[12:])]
		var z bytes.Buffer
		w := zlib.NewWriter(&z)
		w.Write(table) // a buffer takes all
		w.Close()
		packed := z.Bytes()
		if len(packed) >= len(table) {
			packed = table
		}
		records = append(records, r[:4]...)
		records = be.AppendUint32(records, uint32(44+20*count+len(body)))
		records = be.AppendUint32(records, uint32(len(packed)))
		records = be.AppendUint32(records, uint32(len(table)))
		records = append(records, r[4:8]...)
		body = append(append(body, packed...), make([]byte, -len(packed)&3)...)
		whole += (len(table) + 3) &^ 3
	}
	head = be.AppendUint32(head, uint32(44+len(records)+len(body)))
	head = be.AppendUint16(head, uint16(count))
	head = be.AppendUint32(append(head, 0, 0), uint32(whole))
	head = append(head, make([]byte, 44-len(head))...)
	return append(append(head, records...), body...)
}
