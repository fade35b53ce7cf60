package fontcache

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/go-text/typesetting/font/cff"
)

// outlines are the glyphs of a font of PostScript, in a table CFF or CFF2.
type outlines struct {
	b      []byte
	notice string
	two    bool     // CFF2
	glyphs [][]byte // their charstrings

	top    map[int][]int // the font's own dictionary
	global [][]byte      // subroutines of all glyphs
	width  int           // bytes of an index's number of parts
}

// Operators of dictionaries. Those of two bytes begin with escape.
const (
	escape        = 12 << 8
	opNotice      = 1
	opGlyphs      = 17
	opPrivate     = 18
	opSubroutines = 19
	opStore       = 24
	opFonts       = escape | 36
	opSelect      = escape | 37
)

// notWhole stands for a number that is no place, size or index.
const notWhole = math.MinInt32

// cffStrings is how many strings all fonts of PostScript have, which are not in them.
const cffStrings = 391

// readOutlines reads a table that the library takes, too. work takes steps of what it may cost.
func readOutlines(b []byte, two bool, work func(int) error) (*outlines, error) {
	o := &outlines{b: b, two: two, width: 2}
	head := o.readHead
	if two {
		o.width, head = 4, o.readHead2
	}
	if err := head(); err != nil {
		return nil, err
	}
	if err := o.bound(work); err != nil {
		return nil, err
	}
	if two {
		parsed, err := cff.ParseCFF2(b)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errUnread, err)
		}
		o.glyphs = parsed.Charstrings
		return o, nil
	}
	parsed, err := cff.Parse(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUnread, err)
	}
	o.glyphs = parsed.Charstrings
	return o, nil
}

// readHead reads how a table CFF begins: its header, names, dictionaries, strings and subroutines,
// one behind the other.
func (o *outlines) readHead() error {
	wrong := fmt.Errorf("%w: its notice", errUnread)
	if len(o.b) < 4 || int(o.b[2]) > len(o.b) {
		return wrong
	}
	b := o.b[o.b[2]:]
	var parts [4][][]byte
	for i := range parts {
		var ok bool
		if parts[i], b, ok = cffIndex(b, o.width); !ok {
			return wrong
		}
	}
	o.global = parts[3]
	if len(parts[1]) != 1 {
		return wrong
	}
	var ok bool
	if o.top, ok = cffDictionary(parts[1][0]); !ok {
		return wrong
	}
	if number, ok := o.top[opNotice]; ok {
		i := max(lastOf(number), 0) - cffStrings
		if i < 0 || i >= len(parts[2]) {
			return wrong
		}
		o.notice = string(parts[2][i])
	}
	return nil
}

// readHead2 reads how a table CFF2 begins: its header, the dictionary, the subroutines.
func (o *outlines) readHead2() error {
	wrong := fmt.Errorf("%w: its glyphs", errUnread)
	if len(o.b) < 5 {
		return wrong
	}
	begin := int(o.b[2])
	end := begin + int(binary.BigEndian.Uint16(o.b[3:]))
	if end > len(o.b) {
		return wrong
	}
	var ok, sound bool
	o.top, ok = cffDictionary(o.b[begin:end])
	o.global, _, sound = cffIndex(o.b[end:], o.width)
	if !ok || !sound {
		return wrong
	}
	return nil
}

// behind gives what is behind a place of the table.
func (o *outlines) behind(place int) []byte {
	if place < 0 || place > len(o.b) {
		return nil
	}
	return o.b[place:]
}

// local gives the subroutines that count for a glyph: those of its private dictionary.
func (o *outlines) local(glyph int) (subroutines [][]byte, ok bool) {
	dictionary := o.top
	if fonts, several := o.top[opFonts]; several {
		parts, _, sound := cffIndex(o.behind(lastOf(fonts)), o.width)
		i := 0
		if which, ok := o.top[opSelect]; ok && sound {
			i, sound = cffSelect(o.behind(lastOf(which)), glyph)
		}
		if !sound || i >= len(parts) {
			return nil, false
		}
		if dictionary, sound = cffDictionary(parts[i]); !sound {
			return nil, false
		}
	}
	return o.localOf(dictionary)
}

// localOf gives the subroutines of the private dictionary that another one names.
func (o *outlines) localOf(dictionary map[int][]int) (subroutines [][]byte, ok bool) {
	place, there := dictionary[opPrivate]
	if !there {
		return nil, true
	}
	if len(place) < 2 {
		return nil, false
	}
	size, at := place[len(place)-2], place[len(place)-1]
	b := o.behind(at)
	if size < 0 || size > len(b) {
		return nil, false
	}
	private, ok := cffDictionary(b[:size])
	if !ok {
		return nil, false
	}
	if place, there := private[opSubroutines]; there && lastOf(place) != 0 {
		if subroutines, _, ok = cffIndex(o.behind(at+lastOf(place)), o.width); !ok {
			return nil, false
		}
	}
	return subroutines, true
}

// cffSelect gives which of several dictionaries counts for a glyph.
func cffSelect(b []byte, glyph int) (int, bool) {
	be := binary.BigEndian
	if len(b) == 0 {
		return 0, false
	}
	switch b[0] {
	case 0:
		if 1+glyph >= len(b) {
			return 0, false
		}
		return int(b[1+glyph]), true
	case 3:
	default: // of others FreeType knows none
		return 0, false
	}
	const head, size = 3, 3 // of the ranges: their first glyph, the dictionary
	found := -1
	for b = b[min(head, len(b)):]; len(b) >= size && int(be.Uint16(b)) <= glyph; b = b[size:] {
		found = int(b[2])
	}
	return found, found >= 0
}

// lastOf gives the last of an operator's numbers.
func lastOf(numbers []int) int {
	if len(numbers) == 0 {
		return -1
	}
	return numbers[len(numbers)-1]
}

// cffDictionary gives the numbers that stand before each operator of a dictionary. Those with
// digits behind the point are notWhole.
func cffDictionary(d []byte) (operators map[int][]int, ok bool) {
	operators = map[int][]int{}
	var numbers []int
	for len(d) > 0 {
		c, size := int(d[0]), 1
		switch {
		case c == 12 && len(d) > 1:
			operators[escape|int(d[1])], numbers, size = numbers, nil, 2
		case c <= 27 && c != 12:
			operators[c], numbers = numbers, nil
		case c == 28 && len(d) > 2:
			numbers, size = append(numbers, int(int16(binary.BigEndian.Uint16(d[1:])))), 3
		case c == 29 && len(d) > 4:
			numbers, size = append(numbers, int(int32(binary.BigEndian.Uint32(d[1:])))), 5
		case c == 30: // digits, up to a half byte of ones
			for size < len(d) && d[size]&0xf != 0xf && d[size]>>4 != 0xf {
				size++
			}
			numbers, size = append(numbers, notWhole), size+1
		case c >= 32 && c <= 246:
			numbers = append(numbers, c-139)
		case c >= 247 && c <= 250 && len(d) > 1:
			numbers, size = append(numbers, (c-247)<<8+int(d[1])+108), 2
		case c >= 251 && c <= 254 && len(d) > 1:
			numbers, size = append(numbers, -(c-251)<<8-int(d[1])-108), 2
		default:
			return nil, false
		}
		if size > len(d) {
			return nil, false
		}
		d = d[size:]
	}
	return operators, true
}

// cffIndex gives the parts of an index, and what is behind it: the number of parts, which has width
// bytes, the bytes that an offset has, offsets from the byte before the first part, the parts.
func cffIndex(b []byte, width int) (parts [][]byte, rest []byte, ok bool) {
	if len(b) < width {
		return nil, nil, false
	}
	count := bigEndian(b[:width])
	if count == 0 {
		return nil, b[width:], true
	}
	head := width + 1
	if len(b) < head || b[width] < 1 || b[width] > 4 || count > partsOfIndexMax {
		return nil, nil, false
	}
	each := int(b[width])
	data := head + each*(count+1) - 1
	if data >= len(b) {
		return nil, nil, false
	}
	at := 1
	for i := range count + 1 {
		offset := bigEndian(b[head+each*i : head+each*(i+1)])
		if offset < at || offset > len(b)-data {
			return nil, nil, false
		}
		if i > 0 {
			parts = append(parts, b[data+at:data+offset])
		}
		at = offset
	}
	return parts, b[data+at:], true
}

// bigEndian gives the number in some bytes.
func bigEndian(b []byte) (n int) {
	for _, c := range b {
		n = n<<8 | int(c)
	}
	return n
}
