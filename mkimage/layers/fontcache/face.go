package fontcache

import (
	"errors"
	"iter"
)

// errUnread is returned for fonts that FreeType may read, but this package not exactly so.
var errUnread = errors.New("a font that is not read exactly")

// errNoFont is returned for files that FreeType does not take for fonts.
var errNoFont = errors.New("no font")

// errNoPattern is returned for fonts that fontconfig leaves out.
var errNoPattern = errors.New("no pattern")

// face is one font of a file, as FreeType gives it to fontconfig.
type face struct {
	format string // as FreeType calls it
	sfnt   bool
	woff   bool // packed

	family, style string // as FreeType gives them: of fonts without a table of names
	longFamily    string // the family as FreeType of a release with longFamilies gives it; "": the same
	bold, italic  bool
	outlines      bool // its glyphs can be scaled
	color         bool
	symbols       bool // its characters are those of a font of symbols

	names     []sfntName // in the order of sortNames
	os2       *os2
	revision  int32
	axes      []axis
	instances []instance
	// postScript gives the name of an instance, nil for the font itself. "": it has none. The error
	// wraps errUnread
	postScript func(*freetype, *instance) (string, error)

	chars *charSet
	// glyphs gives the glyphs of all characters, in their order
	glyphs iter.Seq[uint32]
	// advance gives how wide a glyph of an instance is; 0: it is not known. Errors wrap errUnread,
	// or are those of the file
	advance func(*instance) (func(glyph uint32) (int, error), error)
	// work takes steps of what the file may cost
	work func(steps int) error

	capability    string // "": none, unless hasCapability
	hasCapability bool
	hinted        bool
	notice        string // of a PostScript font
	weight        string // of a PostScript font
	properties    map[string]any
	sizes         []float64 // of fonts without outlines
}

// axis is one along which a font varies. Numbers have 16 bits behind the point.
type axis struct {
	tag               string
	least, usual, top int32
}

// instance is a named place on all axes.
type instance struct {
	name   uint16 // number of its name
	coords []int32
}

// usual tells whether an instance is just the font.
func (i *instance) usual(axes []axis) bool {
	for n, a := range axes {
		if i.coords[n] != a.usual {
			return false
		}
	}
	return true
}

// os2 has what fontconfig reads of a font's table OS/2.
type os2 struct {
	version       uint16
	weight, width uint16
	vendor        string // 4 bytes
	codePages     uint32
	selection     uint16
	lower, upper  uint16 // optical sizes, in twentieths of a point
}

// fixed gives a number that has 16 bits behind the point.
func fixed(n int32) float64 { return float64(n) / (1 << 16) }
