package mime

import (
	"cmp"
	"slices"
	"strings"
)

// magic tells a type by bytes at certain places of a file.
type magic struct {
	priority int
	of       *mediaType
	matches  []*match // any of them
	none     bool     // the magic of other folders' databases does not count for the type
}

type match struct {
	start   int64
	length  int32 // how many places are tried
	word    uint32
	value   []byte
	mask    []byte   // nil: all bits count
	matches []*match // one of them must match, too
}

// treeMagic tells the type of a medium by what is on it.
type treeMagic struct {
	priority int
	of       *mediaType
	matches  []*treeMatch
}

type treeMatch struct {
	path    string
	kind    string // any, file, directory or link
	flags   string // each with a comma before it
	matches []*treeMatch
}

func (d *database) addMagic(t *mediaType, n *node) error {
	priority, err := number(n, "priority")
	if err != nil {
		return err
	}
	matches, err := matchesOf(n)
	if err != nil {
		return err
	}
	if len(matches) == 0 {
		return errType
	}
	d.magic = append(d.magic, &magic{priority: priority, of: t, matches: matches})
	return nil
}

func matchesOf(n *node) (list []*match, err error) {
	for _, c := range n.children {
		if c.kind != element {
			continue
		}
		if !c.is("match") {
			return nil, errType
		}
		m := &match{length: 1, word: 1}
		if err := m.offset(c); err != nil {
			return nil, err
		}
		if err := m.content(c); err != nil {
			return nil, err
		}
		if m.matches, err = matchesOf(c); err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	return list, nil
}

// offset takes where the value is: START or START:LAST.
func (m *match) offset(n *node) (err error) {
	text, _ := n.attr("offset")
	if text == "" {
		return errType
	}
	var rest string
	if m.start, rest, err = signed(text); err != nil || rest == "" {
		return err
	}
	if rest[0] != ':' || len(rest) < 2 || m.start < 0 {
		return errType
	}
	last, rest, err := signed(rest[1:])
	if err != nil {
		return err
	}
	if rest != "" || int64(int32(last)) < m.start {
		return errType
	}
	m.length = int32(int64(int32(last)) - m.start + 1)
	return nil
}

// content takes the value and the mask.
func (m *match) content(n *node) error {
	kind, _ := n.attr("type")
	text, _ := n.attr("value")
	mask, masked := n.attr("mask")
	size := map[string]int{
		"host16": 2, "host32": 4, "big16": 2, "big32": 4, "little16": 2, "little32": 4, "byte": 1,
		"string": 0,
	}
	bytes, ok := size[kind]
	if !ok || text == "" {
		return errType
	}
	if strings.HasPrefix(kind, "host") {
		m.word = uint32(bytes)
	}
	if kind == "string" {
		m.value = unescape(text)
		if masked && len(m.value) > 0 {
			return m.stringMask(mask)
		}
		return nil
	}
	value, rest, err := unsigned(text)
	if err != nil {
		return err
	}
	if rest != "" || bytes < 4 && value>>(8*bytes) != 0 {
		return errType
	}
	big := kind[0] != 'l' && kind != "byte"
	m.value = word(value, bytes, big)
	if !masked {
		return nil
	}
	if value, rest, err = unsigned(mask); err != nil {
		return err
	}
	if rest != "" {
		return errType
	}
	m.mask = word(value, bytes, big)
	return nil
}

// word gives the lowest bytes of a number.
func word(value uint64, bytes int, big bool) []byte {
	b := make([]byte, bytes)
	for i := range b {
		b[i] = byte(value >> (8 * i))
	}
	if big {
		slices.Reverse(b)
	}
	return b
}

func (m *match) stringMask(text string) error {
	digits, ok := strings.CutPrefix(text, "0x")
	if !ok || len(digits) > 2*len(m.value) {
		return errType
	}
	m.mask = make([]byte, len(m.value))
	for i := range len(digits) {
		n := nibble(digits[i])
		if n < 0 {
			return errType
		}
		m.mask[i/2] |= byte(n) << (4 - 4*(i%2))
	}
	return nil
}

var escapes = map[byte]byte{'n': '\n', 'r': '\r', 'b': '\b', 't': '\t', 'f': '\f', 'v': '\v'}

// unescape takes C's escapes: letters, up to three octal digits, x and up to two hexadecimal ones.
func unescape(s string) []byte {
	var b []byte
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b = append(b, s[i])
			continue
		}
		if i++; i == len(s) {
			break
		}
		base, most, value := 8, 3, 0
		if s[i] == 'x' {
			base, most = 16, 2
			i++
		}
		n := 0
		for n < most && i+n < len(s) {
			digit := nibble(s[i+n])
			if digit < 0 || digit >= base {
				break
			}
			value = value*base + digit
			n++
		}
		switch letter, ok := escapes[at(s, i)]; {
		case n > 0:
			b = append(b, byte(value))
			i += n - 1
		case base == 16:
			b = append(b, 'x')
			i--
		case ok:
			b = append(b, letter)
		default:
			b = append(b, s[i])
		}
	}
	return b
}

// at gives a byte of s; 0: there is none.
func at(s string, i int) byte {
	if i < len(s) {
		return s[i]
	}
	return 0
}

func (d *database) addTreeMagic(t *mediaType, n *node) error {
	priority, err := number(n, "priority")
	if err != nil {
		return err
	}
	matches, err := treeMatchesOf(n)
	if err != nil {
		return err
	}
	d.treeMagic = append(d.treeMagic, &treeMagic{priority, t, matches})
	return nil
}

func treeMatchesOf(n *node) (list []*treeMatch, err error) {
	for _, c := range n.children {
		if c.kind != element {
			continue
		}
		m := &treeMatch{kind: "any"}
		var ok bool
		if m.path, ok = c.attr("path"); !ok || !c.is("treematch") {
			return nil, errType
		}
		if kind, ok := c.attr("type"); ok {
			if !slices.Contains([]string{"file", "directory", "link"}, kind) {
				return nil, errType
			}
			m.kind = kind
		}
		for _, flag := range []string{"match-case", "executable", "non-empty"} {
			if value, _ := c.attr(flag); value == "true" {
				m.flags += "," + flag
			}
		}
		if media, ok := c.attr("mimetype"); ok {
			m.flags += "," + media
		}
		if m.matches, err = treeMatchesOf(c); err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	return list, nil
}

// sort puts the magic into the order in which it is tried.
func (d *database) sort() {
	order := func(p, q int, a, b *mediaType) int {
		return cmp.Or(q-p, strings.Compare(a.media, b.media), strings.Compare(a.subtype, b.subtype))
	}
	slices.SortStableFunc(d.magic, func(a, b *magic) int {
		if a.none || b.none {
			switch {
			case a.none == b.none:
				return 0
			case a.none:
				return -1
			}
			return 1
		}
		return order(a.priority, b.priority, a.of, b.of)
	})
	slices.SortStableFunc(d.treeMagic, func(a, b *treeMagic) int {
		return order(a.priority, b.priority, a.of, b.of)
	})
}
