package fontcache

import (
	"bytes"
	"cmp"
	_ "embed"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/text/cases"
)

//go:embed namelanguages.txt
var nameLanguageLines string

// nameLanguages has the languages of names, by platform and number.
var nameLanguages = sync.OnceValue(func() map[[2]uint16]string {
	languages := map[[2]uint16]string{}
	for line := range strings.Lines(nameLanguageLines) {
		if f := strings.Fields(line); f[0] != "#" {
			languages[[2]uint16{uint16(number(f[0], 10)), uint16(number(f[1], 16))}] = f[2]
		}
	}
	return languages
})

// sfntName is a record of the table of names.
type sfntName struct {
	platform, encoding, language, id uint16
	text                             []byte
}

// platforms of names, in the order in which fontconfig looks
const (
	unicodePlatform   = 0
	macintoshPlatform = 1
	isoPlatform       = 2
	microsoftPlatform = 3
)

var platformOrder = []uint16{microsoftPlatform, unicodePlatform, macintoshPlatform, isoPlatform}

// numbers of names
const (
	nameFamily               = 1
	nameSubfamily            = 2
	nameFull                 = 4
	namePostScript           = 6
	nameTrademark            = 7
	nameManufacturer         = 8
	nameTypographicFamily    = 16
	nameTypographicSubfamily = 17
	nameMacFull              = 18
	nameWWSFamily            = 21
	nameWWSSubfamily         = 22
	nameVariationsPrefix     = 25
)

var nameOrder = []uint16{
	nameWWSFamily, nameTypographicFamily, nameFamily, nameMacFull, nameFull, nameWWSSubfamily,
	nameTypographicSubfamily, nameSubfamily, nameTrademark, nameManufacturer,
}

// sortNames gives names in the order in which fontconfig looks for them.
func sortNames(names []sfntName) []sfntName {
	english := func(n *sfntName) bool {
		return n.platform == macintoshPlatform && n.language == 0 ||
			n.platform == microsoftPlatform && n.language == 0x409
	}
	sorted := slices.Clone(names)
	slices.SortStableFunc(sorted, func(a, b sfntName) int {
		if c := cmp.Or(cmp.Compare(a.platform, b.platform), cmp.Compare(a.id, b.id),
			cmp.Compare(a.encoding, b.encoding)); c != 0 || a.language == b.language {
			return c
		}
		switch {
		case english(&a):
			return -1
		case english(&b):
			return 1
		}
		return cmp.Compare(a.language, b.language)
	})
	return sorted
}

// encodings of names that fontconfig reads by itself; others would need iconv, which Debian's is
// built without.
const (
	unknown = iota
	foreign
	utf16be
	latin1
	macRoman
)

func (n *sfntName) charEncoding() int {
	switch n.platform {
	case unicodePlatform:
		return utf16be
	case macintoshPlatform:
		switch n.encoding {
		case 0:
			return macRoman
		case 1:
			return foreign
		}
	case microsoftPlatform:
		switch n.encoding {
		case 0, 1, 10:
			return utf16be
		case 2, 3, 4, 5, 6:
			return foreign
		}
	case isoPlatform:
		switch n.encoding {
		case 0, 2:
			return latin1
		case 1:
			return utf16be
		}
	}
	return unknown
}

// likeJapanese tells whether a name is likely to be in Shift-JIS.
func (n *sfntName) likeJapanese() bool {
	high := 0
	for _, c := range n.text {
		if c >= 0x80 {
			high++
		}
	}
	return high*2 > len(n.text)-high
}

// decode gives a name's text; "": none that fontconfig takes.
func (r *release) decode(n *sfntName) string {
	encoding := n.charEncoding()
	if encoding == macRoman {
		switch {
		case n.language == 0 && n.likeJapanese(), r.utf16 && n.language == 11:
			encoding = foreign
		case n.language == 0x409:
			encoding = latin1
		case n.language == 0x411:
			encoding = foreign
		case n.language >= 0x100:
			return ""
		}
	}
	if encoding == foreign && r.utf16 {
		encoding = utf16be
	}
	var text []byte
	switch encoding {
	case utf16be:
		var ok bool
		if text, ok = fromUTF16(n.text); !ok {
			return ""
		}
	case latin1, macRoman:
		for _, c := range n.text {
			char := uint32(c)
			if encoding == macRoman && c >= 0x80 {
				char = uint32(macRomanHigh[c-0x80])
			}
			text = appendUTF8(text, char)
		}
	}
	text, _, _ = bytes.Cut(text, []byte{0})
	if fold(string(text)) == "" {
		return ""
	}
	return strings.Trim(string(text), " ")
}

// fromUTF16 decodes a name. One that is cut, or has the first half of a pair alone, is not taken.
func fromUTF16(b []byte) (text []byte, ok bool) {
	for len(b) > 0 {
		if len(b) < 2 {
			return nil, false
		}
		c := uint32(b[0])<<8 | uint32(b[1])
		b = b[2:]
		if c&0xfc00 == 0xd800 {
			if len(b) < 2 || b[0]&0xfc != 0xdc {
				return nil, false
			}
			c = 0x10000 + (c&0x3ff<<10 | uint32(b[0])<<8&0x3ff | uint32(b[1]))
			b = b[2:]
		}
		text = appendUTF8(text, c)
	}
	return text, true
}

// appendUTF8 is utf8.AppendRune that takes halves of pairs.
func appendUTF8(b []byte, c uint32) []byte {
	if c&0xfffff800 == 0xd800 {
		return append(b, 0xe0|byte(c>>12), 0x80|byte(c>>6)&0x3f, 0x80|byte(c)&0x3f)
	}
	return utf8.AppendRune(b, rune(c))
}

// languageOf gives the language of a name, or "".
func (n *sfntName) languageOf() string {
	l := n.language
	if n.platform == macintoshPlatform && n.encoding == 0 && n.likeJapanese() {
		l = 11
	}
	return nameLanguages()[[2]uint16{n.platform, l}]
}

// fold gives a text as fontconfig compares it: without blanks, and with letters of one case.
func fold(s string) string { return strings.ReplaceAll(foldBlanks(s), " ", "") }

// foldBlanks gives a text with letters of one case.
func foldBlanks(s string) string { return cases.Fold().String(s) }

// macRomanHigh has the upper half of the encoding, from
// http://www.unicode.org/Public/MAPPINGS/VENDORS/APPLE/ROMAN.TXT
var macRomanHigh = []rune("ÄÅÇÉÑÖÜáàâäãåçéèêëíìîïñóòôöõúùûü†°¢£§•¶ß®©™´¨≠ÆØ∞±≤≥¥µ∂∑∏π∫ªºΩæø¿¡¬√ƒ≈∆«»…\u00a0ÀÃÕŒœ–—“”‘’÷◊ÿŸ⁄€‹›ﬁﬂ‡·‚„‰ÂÊÁËÈÍÎÏÌÓÔ\uf8ffÒÚÛÙıˆ˜¯˘˙˚¸˝˛ˇ")
