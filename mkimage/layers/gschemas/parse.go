package gschemas

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// parser reads the text form of a GVariant, see gvariant-text(7) of GLib.
type parser struct {
	rest  string
	depth int
}

// parseValue reads a value of a type.
func parseValue(kind, source string) (value, error) {
	p := &parser{rest: source}
	v, err := p.value(kind)
	if err != nil {
		return value{}, err
	}
	if p.peek() != 0 {
		return value{}, p.wrong("the end")
	}
	return v, nil
}

func (p *parser) wrong(want string) error {
	return fmt.Errorf("%w: want %s before %.20q", ErrText, want, p.rest)
}

// peek passes over white space and gives the next letter; 0: there is none.
func (p *parser) peek() byte {
	p.rest = strings.TrimLeft(p.rest, " \t\n\f\r")
	if p.rest == "" {
		return 0
	}
	return p.rest[0]
}

// take takes a letter that is next.
func (p *parser) take(c byte) bool {
	if p.peek() != c {
		return false
	}
	p.rest = p.rest[1:]
	return true
}

// word takes letters and digits, and what numbers have.
func (p *parser) word() string {
	p.peek()
	n := 0
	for n < len(p.rest) {
		c := p.rest[n]
		if c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || strings.IndexByte("+-._", c) >= 0 {
			n++
			continue
		}
		break
	}
	w := p.rest[:n]
	p.rest = p.rest[n:]
	return w
}

var keywords = map[string]string{
	"boolean": "b", "byte": "y", "int16": "n", "uint16": "q", "int32": "i", "uint32": "u",
	"int64": "x", "uint64": "t", "handle": "h", "double": "d", "string": "s", "objectpath": "o",
	"signature": "g",
}

// value reads a value of a type.
func (p *parser) value(kind string) (v value, err error) {
	if p.depth++; p.depth > depthMax {
		return value{}, p.wrong("values that are not as deep")
	}
	defer func() { p.depth-- }()
	if p.take('@') {
		first, rest, ok := element(p.rest, 0)
		if !ok || first != kind {
			return value{}, p.wrong("the type " + kind)
		}
		p.rest = rest
		return p.value(kind)
	}
	before := *p
	if c := p.peek(); c|0x20 >= 'a' && c|0x20 <= 'z' && kind[0] != 'm' && kind[0] != 'a' {
		if of, ok := keywords[p.word()]; ok {
			if of != kind {
				return value{}, before.wrong("the type " + kind)
			}
			return p.value(kind)
		}
		*p = before
	}
	switch kind[0] {
	case 'b':
		switch p.word() {
		case "true":
			return value{kind, []byte{1}}, nil
		case "false":
			return value{kind, []byte{0}}, nil
		}
		return value{}, before.wrong("true or false")
	case 's':
		s, err := p.quoted()
		return text(kind, s), err
	case 'v':
		return p.variant()
	case 'm':
		return p.maybe(kind[1:])
	case 'a':
		return p.array(kind[1:])
	case '(':
		return p.members(kind, "(", ")")
	case '{':
		return p.members(kind, "{", "}")
	case 'o', 'g', 'h':
		return value{}, p.wrong("another type than " + kind)
	case 'd':
		f, err := strconv.ParseFloat(p.word(), 64)
		if err != nil {
			return value{}, before.wrong("a number")
		}
		return number(kind, math.Float64bits(f)), nil
	}
	return p.integer(kind)
}

// integer reads a number with base 16 behind 0x, and 8 behind 0.
func (p *parser) integer(kind string) (value, error) {
	before := *p
	word := p.word()
	digits := strings.TrimLeft(word, "+-")
	if len(word)-len(digits) > 1 || strings.ContainsAny(digits, "_oObB") && !hexadecimal(digits) {
		return value{}, before.wrong("a number")
	}
	n, err := strconv.ParseUint(digits, 0, 64)
	_, size := layout(kind)
	most := uint64(math.MaxUint64) >> (64 - 8*size)
	if strings.Contains("nix", kind) {
		most >>= 1
	}
	negative := strings.HasPrefix(word, "-")
	if negative && strings.Contains("nix", kind) {
		most++
	} else if negative && n > 0 {
		most = 0
	}
	if err != nil || n > most {
		return value{}, before.wrong("a number of type " + kind)
	}
	if negative {
		n = -n
	}
	return number(kind, n), nil
}

func hexadecimal(digits string) bool {
	return strings.HasPrefix(digits, "0x") && !strings.ContainsAny(digits, "_oO")
}

// quoted reads a string.
func (p *parser) quoted() (string, error) {
	quote := p.peek()
	if quote != '\'' && quote != '"' {
		return "", p.wrong("a string")
	}
	var b []byte
	for s := p.rest[1:]; s != ""; {
		c := s[0]
		s = s[1:]
		if c == quote {
			p.rest = s
			return string(b), nil
		}
		if c != '\\' || s == "" {
			b = append(b, c)
			continue
		}
		c = s[0]
		s = s[1:]
		if n := map[byte]int{'u': 4, 'U': 8}[c]; n > 0 {
			if len(s) < n {
				break
			}
			r, err := strconv.ParseUint(s[:n], 16, 32)
			if err != nil || r == 0 || r > utf8.MaxRune || !utf8.ValidRune(rune(r)) {
				break
			}
			b, s = utf8.AppendRune(b, rune(r)), s[n:]
			continue
		}
		if at := strings.IndexByte("abfnrtv", c); at >= 0 {
			c = "\a\b\f\n\r\t\v"[at]
		} else if c == '\n' {
			continue
		}
		b = append(b, c)
	}
	return "", p.wrong("the end of a string")
}

// oneOf tells whether all strings in a value are among those named.
func oneOf(v value, names []string) bool {
	switch v.kind[0] {
	case 's':
		return slices.Contains(names, string(v.data[:len(v.data)-1]))
	case 'm':
		return len(v.data) == 0 || oneOf(value{v.kind[1:], v.data[:len(v.data)-1]}, names)
	}
	for _, e := range elements(v) {
		if !oneOf(e, names) {
			return false
		}
	}
	return true
}

// elements gives those of an array whose elements have no fixed size and an alignment of 1.
func elements(v value) (list []value) {
	if len(v.data) == 0 {
		return nil
	}
	width := 4
	for _, w := range []int{2, 1} {
		if len(v.data) <= 1<<(8*w)-1 {
			width = w
		}
	}
	end := func(at int) int {
		n := 0
		for i := range width {
			n |= int(v.data[at+i]) << (8 * i)
		}
		return n
	}
	first := end(len(v.data) - width) // the last end is where the ends are
	start := 0
	for at := first; at < len(v.data); at += width {
		list = append(list, value{v.kind[1:], v.data[start:end(at)]})
		start = end(at)
	}
	return list
}
