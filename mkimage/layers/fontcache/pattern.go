package fontcache

// object is a property of a font, by its number in the cache: src/fcobjs.h, whose order is part of
// the format.
type object int32

const (
	family object = iota + 1
	familyLang
	style
	styleLang
	fullName
	fullNameLang
	slant
	weight
	width
	size
	aspect
	pixelSize
	spacing
	foundry
	antialias
	hintStyle
	hinting
	verticalLayout
	autohint
	globalAdvance
	file
	index
	rasterizer
	outline
	scalable
	dpi
	rgba
	scale
	minSpace
	charWidth
	charHeight
	matrix
	charset
	lang
	fontVersion
	capability
	fontFormat
	embolden
	embeddedBitmap
	decorative
	lcdFilter
	nameLang
	fontFeatures
	prgName
	hash
	postScriptName
	color
	symbol
	fontVariations
	variable
	fontHasHint
	order
	desktopName   // since 2.15.0
	namedInstance // since 2.15.0
	fontWrapper   // since 2.15.0
)

// value is one of: int32, float64, string, bool, *charSet, langSet, sizeRange.
type value any

// sizeRange is a range of numbers.
type sizeRange struct{ begin, end float64 }

// pattern has the values of each property of a font.
type pattern map[object][]value

func (p pattern) add(o object, v value) { p[o] = append(p[o], v) }

// first gives the first value of a property if it is a string.
func (p pattern) str(o object, i int) (string, bool) {
	if i >= len(p[o]) {
		return "", false
	}
	s, ok := p[o][i].(string)
	return s, ok
}

// bytesOf gives about how many bytes the patterns of a file take in a cache.
func bytesOf(list []pattern) (n int) {
	var last *charSet
	for _, p := range list {
		for _, values := range p {
			n += valueSize * len(values)
			for _, v := range values {
				if s, ok := v.(string); ok {
					n += len(s)
				}
			}
		}
		if c := p.chars(); c != nil && c != last { // a font's instances share it
			n += len(c.numbers) * (len(leaf{})*4 + 10)
			last = c
		}
	}
	return n
}

// chars gives the characters of a font.
func (p pattern) chars() *charSet {
	if len(p[charset]) == 0 {
		return nil
	}
	c, _ := p[charset][0].(*charSet)
	return c
}

// leaf says which of 256 characters there are.
type leaf [8]uint32

// charSet is a set of characters, in pages of 256.
type charSet struct {
	numbers []uint16 // of pages, ascending
	leaves  []leaf
}

// add adds a character. Characters come in ascending order, but for those of the pages that are
// there.
func (c *charSet) add(r uint32) {
	c.page(uint16(r >> 8))[r&0xff>>5] |= 1 << (r & 31)
}

// page gives a page, which is made when it is not there.
func (c *charSet) page(number uint16) *leaf {
	i := len(c.numbers)
	for i > 0 && c.numbers[i-1] >= number {
		i--
	}
	if i == len(c.numbers) || c.numbers[i] != number {
		c.numbers = append(c.numbers, 0)
		c.leaves = append(c.leaves, leaf{})
		copy(c.numbers[i+1:], c.numbers[i:])
		copy(c.leaves[i+1:], c.leaves[i:])
		c.numbers[i], c.leaves[i] = number, leaf{}
	}
	return &c.leaves[i]
}

func (c *charSet) has(r uint32) bool {
	for i, n := range c.numbers {
		if n == uint16(r>>8) {
			return c.leaves[i][r&0xff>>5]>>(r&31)&1 == 1
		}
	}
	return false
}

// contains tells whether all characters of another set are there.
func (c *charSet) contains(other *charSet) bool {
	i := 0
	for j, n := range other.numbers {
		for i < len(c.numbers) && c.numbers[i] < n {
			i++
		}
		if i == len(c.numbers) || c.numbers[i] != n {
			if other.leaves[j] != (leaf{}) {
				return false
			}
			continue
		}
		for k, bits := range other.leaves[j] {
			if bits&^c.leaves[i][k] != 0 {
				return false
			}
		}
	}
	return true
}
