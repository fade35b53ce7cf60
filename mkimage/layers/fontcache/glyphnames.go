package fontcache

import (
	_ "embed"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
)

//go:embed glyphnames.txt
var glyphNameLines string

// glyphNames has the characters of glyphs' names.
var glyphNames = sync.OnceValue(func() map[string]uint32 {
	names := map[string]uint32{}
	for line := range strings.Lines(glyphNameLines) {
		if name, char, ok := strings.Cut(strings.TrimSpace(line), " "); ok && name != "#" {
			names[name] = number(char, 16)
		}
	}
	return names
})

// secondChars has glyphs that are for a further character, unless another one is.
var secondChars = map[string]uint32{
	"Delta": 0x394, "Omega": 0x3a9, "fraction": 0x2215, "hyphen": 0xad, "macron": 0x2c9, "mu": 0x3bc,
	"periodcentered": 0x2219, "space": 0xa0, "Tcommaaccent": 0x21a, "tcommaaccent": 0x21b,
}

// namedChars gives the characters of glyphs' names, in order, as FreeType's ps_unicodes_init does.
func namedChars(names []string) (list []mapped) {
	chars, variants, second := map[uint32]uint32{}, map[uint32]uint32{}, map[uint32]uint32{}
	put := func(to map[uint32]uint32, char uint32, glyph int) {
		if _, there := to[char]; !there && char != 0 {
			to[char] = uint32(glyph)
		}
	}
	for i, name := range names {
		if c, ok := secondChars[name]; ok {
			put(second, c, i)
		}
		if char, variant := namedChar(name); variant {
			put(variants, char, i)
		} else {
			put(chars, char, i)
		}
	}
	for _, more := range []map[uint32]uint32{second, variants} {
		for c, glyph := range more {
			put(chars, c, int(glyph))
		}
	}
	for _, c := range slices.Sorted(maps.Keys(chars)) {
		list = append(list, mapped{c, chars[c]})
	}
	return list
}

// namedChar gives the character of a glyph's name, or 0. variant tells whether the glyph is another
// one than the character's own.
func namedChar(name string) (char uint32, variant bool) {
	base, _, variant := strings.Cut(name, ".")
	if base == "" {
		return 0, false
	}
	for _, prefix := range []string{"uni", "u"} {
		digits, ok := strings.CutPrefix(base, prefix)
		if !ok || prefix == "uni" && len(digits) != 4 || len(digits) < 4 || len(digits) > 6 ||
			strings.Trim(digits, "0123456789ABCDEF") != "" {
			continue
		}
		n, _ := strconv.ParseUint(digits, 16, 32) // only digits
		return uint32(n), variant
	}
	return glyphNames()[base], variant
}
