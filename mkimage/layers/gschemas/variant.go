package gschemas

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
)

// value is a serialized GVariant, little endian.
type value struct {
	kind string // its type
	data []byte
}

// element gives the first complete type of a string of types, and what is behind it. Not ok: there
// is none.
func element(types string, depth int) (first, rest string, ok bool) {
	if types == "" || depth > depthMax {
		return "", "", false
	}
	switch types[0] {
	case 'a', 'm':
		of, rest, ok := element(types[1:], depth+1)
		return types[:1+len(of)], rest, ok
	case '(', '{':
		end := byte(')')
		if types[0] == '{' {
			end = '}'
		}
		members := 0
		for rest = types[1:]; rest != "" && rest[0] != end; members++ {
			if end == '}' && members == 0 && !strings.Contains("bynqiuxthdsog", rest[:1]) {
				return "", "", false // no basic type
			}
			if _, rest, ok = element(rest, depth+1); !ok {
				return "", "", false
			}
		}
		if rest == "" || end == '}' && members != 2 {
			return "", "", false
		}
		return types[:len(types)-len(rest)+1], rest[1:], true
	}
	return types[:1], types[1:], strings.Contains("bynqiuxthdsogv", types[:1])
}

// depthMax bounds how deep types and values are.
const depthMax = 64

// isType tells whether a string is one complete type.
func isType(s string) bool {
	_, rest, ok := element(s, 0)
	return ok && rest == ""
}

// members gives the types in a tuple or a dictionary's entry.
func members(kind string) (list []string) {
	for rest := kind[1 : len(kind)-1]; rest != ""; {
		var first string
		first, rest, _ = element(rest, 0)
		list = append(list, first)
	}
	return list
}

// layout gives the alignment of a type, and its size; 0: that depends on the value.
func layout(kind string) (align, size int) {
	switch kind[0] {
	case 'b', 'y':
		return 1, 1
	case 'n', 'q':
		return 2, 2
	case 'i', 'u', 'h':
		return 4, 4
	case 'x', 't', 'd':
		return 8, 8
	case 's', 'o', 'g':
		return 1, 0
	case 'v':
		return 8, 0
	case 'a', 'm':
		align, _ = layout(kind[1:])
		return align, 0
	}
	align, fixed := 1, true
	for _, m := range members(kind) {
		a, n := layout(m)
		align, fixed = max(align, a), fixed && n > 0
		size = pad(size, a) + n
	}
	if !fixed {
		return align, 0
	}
	return align, max(pad(size, align), 1)
}

func pad(n, align int) int { return (n + align - 1) / align * align }

func zeros(b []byte, align int) []byte {
	return append(b, make([]byte, pad(len(b), align)-len(b))...)
}

// offsets writes where members end, in as few bytes as all of it needs.
func offsets(b []byte, ends []int) []byte {
	width := 1
	for _, w := range []int{1, 2, 4} {
		if width = w; len(b)+w*len(ends) <= 1<<(8*w)-1 {
			break
		}
	}
	for _, end := range ends {
		b = append(b, binary.LittleEndian.AppendUint32(nil, uint32(end))[:width]...)
	}
	return b
}

// tuple makes a tuple, or an entry of a dictionary.
func tuple(open, end string, list ...value) value {
	kind := open
	var b []byte
	var ends []int
	for i, m := range list {
		kind += m.kind
		align, size := layout(m.kind)
		b = append(zeros(b, align), m.data...)
		if size == 0 && i < len(list)-1 {
			ends = append(ends, len(b))
		}
	}
	kind += end
	if _, size := layout(kind); size > 0 {
		return value{kind, append(b, make([]byte, size-len(b))...)}
	}
	slices.Reverse(ends)
	return value{kind, offsets(b, ends)}
}

// array makes an array of elements of a type.
func array(of string, list ...value) value {
	var b []byte
	var ends []int
	align, size := layout(of)
	for _, e := range list {
		b = append(zeros(b, align), e.data...)
		ends = append(ends, len(b))
	}
	if size == 0 {
		b = offsets(b, ends)
	}
	return value{"a" + of, b}
}

func maybe(of string, v *value) value {
	if v == nil {
		return value{kind: "m" + of}
	}
	b := slices.Clone(v.data)
	if _, size := layout(of); size == 0 {
		b = append(b, 0)
	}
	return value{"m" + of, b}
}

func variant(v value) value {
	return value{"v", append(append(slices.Clone(v.data), 0), v.kind...)}
}

func text(kind, s string) value { return value{kind, append([]byte(s), 0)} }

func letter(c byte) value { return value{"y", []byte{c}} }

// number makes a number of a basic type.
func number(kind string, bits uint64) value {
	_, size := layout(kind)
	return value{kind, binary.LittleEndian.AppendUint64(nil, bits)[:size]}
}

// compare orders two numbers of one type.
func compare(a, b value) int {
	order := func(less bool) int {
		if less {
			return -1
		}
		return 1
	}
	if slices.Equal(a.data, b.data) {
		return 0
	}
	bits := func(v value) uint64 {
		return binary.LittleEndian.Uint64(append(slices.Clone(v.data), make([]byte, 8)...))
	}
	x, y := bits(a), bits(b)
	shift := 64 - 8*len(a.data)
	switch a.kind {
	case "d":
		f, g := math.Float64frombits(x), math.Float64frombits(y)
		if f == g {
			return 0
		}
		return order(f < g)
	case "n", "i", "x":
		return order(int64(x<<shift) < int64(y<<shift))
	}
	return order(x < y)
}
