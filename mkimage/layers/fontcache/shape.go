package fontcache

import "strings"

// fontconfig's numbers of what fonts look like
const (
	roman   = int32(0)
	slanted = int32(100) // italic
	oblique = int32(110)

	medium   = 100.
	boldface = 200.
	normal   = 100.

	proportional = int32(0)
	dual         = int32(90)
	mono         = int32(100)
	cell         = int32(110)
)

// widths are those of OS/2's numbers from 1.
var widths = []float64{50, 63, 75, 87, 100, 113, 125, 150, 200}

// weights are those of OpenType, and fontconfig's.
var weights = [][2]float64{
	{0, 0}, {100, 0}, {200, 40}, {300, 50}, {350, 55}, {380, 75}, {400, 80}, {500, 100}, {600, 180},
	{700, 200}, {800, 205}, {900, 210}, {1000, 215},
}

// fromOpenType gives fontconfig's weight for OpenType's.
func fromOpenType(w float64) float64 {
	if w < 0 {
		return -1
	}
	w = min(w, weights[len(weights)-1][0])
	i := 1
	for w > weights[i][0] {
		i++
	}
	from, to := weights[i-1], weights[i]
	if w == to[0] {
		return to[1]
	}
	return from[1] + (w-from[0])*(to[1]-from[1])/(to[0]-from[0])
}

// word is one that tells what a font looks like. A leading < means that it counts alone only.
type word struct {
	text string
	n    float64
}

var weightNames = []word{
	{"thin", 0}, {"extralight", 40}, {"ultralight", 40}, {"demilight", 55}, {"semilight", 55},
	{"light", 50}, {"book", 75}, {"regular", 80}, {"normal", 80}, {"medium", 100}, {"demibold", 180},
	{"demi", 180}, {"semibold", 180}, {"extrabold", 205}, {"superbold", 205}, {"ultrabold", 205},
	{"bold", 200}, {"ultrablack", 215}, {"superblack", 215}, {"extrablack", 215}, {"<ultra", 205},
	{"black", 210}, {"heavy", 210},
}

var widthNames = []word{
	{"ultracondensed", 50}, {"extracondensed", 63}, {"semicondensed", 87}, {"condensed", 75},
	{"normal", 100}, {"semiexpanded", 113}, {"extraexpanded", 150}, {"ultraexpanded", 200},
	{"expanded", 125}, {"extended", 125},
}

var slantNames = []word{{"italic", 100}, {"kursiv", 100}, {"oblique", 110}}

var decorativeNames = []word{
	{"shadow", 1}, {"caps", 1}, {"antiqua", 1}, {"romansc", 1}, {"embosed", 1}, {"dunhill", 1},
}

// isOne gives what a text that is one of the words says, or -1.
func isOne(text string, words []word) float64 {
	for _, w := range words {
		if fold(text) == w.text {
			return w.n
		}
	}
	return -1
}

// contains gives what the first of the words that a text has says, or -1.
func contains(text string, words []word) float64 {
	folded := fold(text)
	for _, w := range words {
		if alone, ok := strings.CutPrefix(w.text, "<"); ok {
			if hasWord(text, alone) {
				return w.n
			}
		} else if strings.Contains(folded, w.text) {
			return w.n
		}
	}
	return -1
}

// hasWord tells whether a text has a word with nothing but signs around it.
func hasWord(text, word string) bool {
	starts := true
	for i := 0; i+len(word) <= len(text); i++ {
		end := i + len(word)
		if starts && strings.EqualFold(text[i:end], word) && (end == len(text) || sign(text[end])) {
			return true
		}
		starts = sign(text[i])
	}
	return false
}

// sign tells whether a letter is none, as FcCharIsPunct does.
func sign(c byte) bool {
	switch {
	case c < '0', c > '9' && c < 'A', c > 'Z' && c < 'a', c > 'z' && c <= '~':
		return true
	}
	return false
}

// foundries have the words of notices that tell who made a font, src/fcfoundry.h.
var foundries = [][2]string{
	{"Adobe", "adobe"}, {"Bigelow", "b&h"}, {"Bitstream", "bitstream"}, {"Gnat", "culmus"},
	{"Iorsh", "culmus"}, {"HanYang System", "hanyang"}, {"Font21", "hwan"}, {"IBM", "ibm"},
	{"International Typeface Corporation", "itc"}, {"Linotype", "linotype"},
	{"LINOTYPE-HELL", "linotype"}, {"Microsoft", "microsoft"}, {"Monotype", "monotype"},
	{"Omega", "omega"}, {"Tiro Typeworks", "tiro"}, {"URW", "urw"}, {"XFree86", "xfree86"},
	{"Xorg", "xorg"},
}

func noticeFoundry(notice string) string {
	for _, f := range foundries {
		if strings.Contains(notice, f[0]) {
			return f[1]
		}
	}
	return ""
}

// varied is what the axes of a font decide.
type varied struct {
	any, sized              bool // it varies; its size does
	hasWeight, hasWidth     bool // which vary
	weight, width           float64
	weightTimes, widthTimes float64
}

// variations adds what the axes of a font tell.
func (r *release) variations(p pattern, f *face, at *instance, whole bool) varied {
	v := varied{weight: -1, width: -1, weightTimes: 1, widthTimes: 1}
	for i, a := range f.axes {
		switch {
		case whole:
			least, top := fixed(a.least), fixed(a.top)
			if a.least > a.usual || a.usual > a.top || a.least == a.top {
				continue
			}
			switch a.tag {
			case "wght":
				p.add(weight, sizeRange{fromOpenType(least), fromOpenType(top)})
				v.hasWeight, v.weight = true, 0
			case "wdth":
				p.add(width, sizeRange{least, top})
				v.hasWidth, v.width = true, 0
			case "opsz":
				p.add(size, sizeRange{least, top})
				v.sized = true
			default:
				continue
			}
			v.any = true
		case at != nil:
			times := 1.
			if a.usual != 0 {
				times = fixed(at.coords[i]) / fixed(a.usual)
			}
			switch a.tag {
			case "wght":
				v.weightTimes = times
			case "wdth":
				v.widthTimes = times
			case "opsz":
				p.add(size, fixed(at.coords[i]))
			}
		case a.tag == "opsz":
			p.add(size, fixed(a.usual))
			v.sized = true
		}
	}
	return v
}

// addShape adds slant, weight, width, foundry and decoration.
func (f *face) addShape(p pattern, v varied, maker string) {
	if v.width == -1 {
		v.width = f.propertyWidth()
	}
	slope, decoration := -1., -1.
	for i := range p[style] {
		s, _ := p.str(style, i)
		if v.weight == -1 {
			v.weight = contains(s, weightNames)
		}
		if v.width == -1 {
			v.width = contains(s, widthNames)
		}
		if slope == -1 {
			slope = contains(s, slantNames)
		}
		if decoration == -1 {
			decoration = contains(s, decorativeNames)
		}
	}
	if slope == -1 {
		slope = float64(roman)
		if f.italic {
			slope = float64(slanted)
		}
	}
	if v.weight == -1 {
		v.weight = medium
		if f.bold {
			v.weight = boldface
		}
	}
	if v.width == -1 {
		v.width = normal
	}
	if maker == "" {
		maker = "unknown"
	}
	p.add(slant, int32(slope))
	if !v.hasWeight {
		p.add(weight, v.weight)
	}
	if !v.hasWidth {
		p.add(width, v.width)
	}
	p.add(foundry, maker)
	p.add(decorative, decoration > 0)
}

// propertyWidth gives the width that a bitmap font's properties tell, or -1.
func (f *face) propertyWidth() float64 {
	if n, ok := f.properties["RELATIVE_SETWIDTH"].(int32); ok {
		if i := (n + 5) / 10; i >= 1 && int(i) <= len(widths) {
			return widths[i-1]
		}
	}
	if s, ok := f.properties["SETWIDTH_NAME"].(string); ok {
		return isOne(s, widthNames)
	}
	return -1
}

// spacing tells whether all glyphs of an instance are of one width, or of two.
func (f *face) spacing(at *instance) (int32, error) {
	switch s, _ := f.properties["SPACING"].(string); s {
	case "c", "C":
		return cell, nil
	case "m", "M":
		return mono, nil
	case "p", "P":
		return proportional, nil
	}
	var found []int
	advance, err := f.advance(at)
	if err != nil {
		return 0, err
	}
	for g := range f.glyphs {
		a, err := advance(g)
		if err == nil {
			err = f.work(1)
		}
		if err != nil {
			return 0, err
		}
		known := a == 0
		for _, other := range found {
			known = known || alike(a, other)
		}
		if known {
			continue
		}
		if found = append(found, a); len(found) == 3 {
			break
		}
	}
	switch {
	case len(found) <= 1:
		return mono, nil
	case len(found) == 2 && alike(min(found[0], found[1])*2, max(found[0], found[1])):
		return dual, nil
	}
	return proportional, nil
}

func alike(x, y int) bool { return abs(x-y)*33 <= max(abs(x), abs(y)) }

func abs(n int) int { return max(n, -n) }
