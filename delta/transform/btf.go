package transform

import (
	"bytes"
	"slices"
)

// Kinds of BTF types (Linux, Documentation/bpf/btf.rst) that the walk must tell apart.
const (
	btfMagic      = 0xeb9f
	btfHeaderSize = 24
	btfTypeSize   = 12

	btfInt       = 1
	btfPtr       = 2
	btfArray     = 3
	btfStruct    = 4
	btfUnion     = 5
	btfEnum      = 6
	btfTypedef   = 8
	btfVolatile  = 9
	btfConst     = 10
	btfRestrict  = 11
	btfFunc      = 12
	btfFuncProto = 13
	btfVar       = 14
	btfDatasec   = 15
	btfDeclTag   = 17
	btfTypeTag   = 18
	btfEnum64    = 19
	btfKinds     = 20
)

// btfShape says which words of a type are names and which are numbers of other types.
type btfShape struct {
	refers bool   // the third word of the type itself is the number of a type
	fixed  string // words that follow: n name, t type, . neither
	each   string // words that follow as often as the type says
}

var btfShapes = [btfKinds]btfShape{
	btfInt:       {fixed: "."},
	btfPtr:       {refers: true},
	btfArray:     {fixed: "tt."},
	btfStruct:    {each: "nt."},
	btfUnion:     {each: "nt."},
	btfEnum:      {each: "n."},
	btfTypedef:   {refers: true},
	btfVolatile:  {refers: true},
	btfConst:     {refers: true},
	btfRestrict:  {refers: true},
	btfFunc:      {refers: true},
	btfFuncProto: {refers: true, each: "nt"},
	btfVar:       {refers: true, fixed: "."},
	btfDatasec:   {each: "t.."},
	btfDeclTag:   {refers: true, fixed: "."},
	btfTypeTag:   {refers: true},
	btfEnum64:    {each: "n.."},
}

// btf is the layout of a BTF section, which a rewriting does not change.
type btf struct {
	types, strings []byte
	count          int // of types
}

// parseBTF checks a section's header and walks its types once.
func parseBTF(b []byte) (*btf, bool) {
	if len(b) < btfHeaderSize || le.Uint16(b) != btfMagic || b[2] != 1 || le.Uint32(b[4:]) != btfHeaderSize {
		return nil, false
	}
	part := func(at int) ([]byte, bool) {
		off, size, body := uint64(le.Uint32(b[at:])), uint64(le.Uint32(b[at+4:])), b[btfHeaderSize:]
		if off > uint64(len(body)) || size > uint64(len(body))-off {
			return nil, false
		}
		return body[off : off+size : off+size], true
	}
	var t btf
	var ok1, ok2 bool
	t.types, ok1 = part(8)
	t.strings, ok2 = part(16)
	typesEnd := uint64(le.Uint32(b[8:])) + uint64(len(t.types))
	if !ok1 || !ok2 || uint64(le.Uint32(b[16:])) < typesEnd {
		return nil, false
	}
	return &t, t.walk(func(n int, word byte, p []byte) { t.count = n + 1 })
}

// walk calls visit for the words of all types: n counts types from 0, word is what it
// is: n a name, t a type, h the description of the type itself. visit may change p,
// but for a description. It gives false where the types do not end with the section.
func (t *btf) walk(visit func(n int, word byte, p []byte)) bool {
	b := t.types
	for n := 0; len(b) > 0; n++ {
		if len(b) < btfTypeSize {
			return false
		}
		info := le.Uint32(b[4:])
		kind := info >> 24 & 31
		if kind == 0 || kind >= btfKinds {
			return false
		}
		shape := &btfShapes[kind]
		size := btfTypeSize + 4*len(shape.fixed) + 4*len(shape.each)*int(info&0xffff)
		if size > len(b) {
			return false
		}
		visit(n, 'h', b[4:8])
		visit(n, 'n', b[:4])
		if shape.refers {
			visit(n, 't', b[8:12])
		}
		at := btfTypeSize
		for i := range shape.fixed {
			visit(n, shape.fixed[i], b[at:at+4])
			at += 4
		}
		for at < size {
			for i := range shape.each {
				visit(n, shape.each[i], b[at:at+4])
				at += 4
			}
		}
		b = b[size:]
	}
	return true
}

// A module's BTF goes on from the kernel's: its types and names are numbered from where
// that ends, and refer to that. The numbers thus change with every kernel. They become:
//
//	own type     local | the number of the referring type less its own, biased
//	own name     localNext where names are referred to in their order, else local | token
//	base type    rank among those that the module refers to, ascending
//	base name    likewise
//
// The values of base types and names are listed, each less the one before, behind the
// file: where the kernel gained a type, one of them changes.
const (
	btfLocal     = 1 << 31
	btfLocalNext = 1<<32 - 1
	btfBias      = 1 << 30
	btfNoBase    = btfLocal - 1 // first own number when it cannot be told
)

// btfBase is what is not in the section itself.
type btfBase struct {
	firstType, firstName uint32 // numbers from which on they are the module's own
	types, names         []uint32
}

// base finds out where the kernel's numbers end, and which of them are in use.
func (t *btf) base() *btfBase {
	r := &btfBase{firstType: t.guessType(), firstName: t.guessName()}
	t.walk(func(_ int, word byte, p []byte) {
		v := le.Uint32(p)
		if word == 't' && v < r.firstType {
			r.types = append(r.types, v)
		} else if word == 'n' && v < r.firstName {
			r.names = append(r.names, v)
		}
	})
	for _, l := range []*[]uint32{&r.types, &r.names} {
		slices.Sort(*l)
		*l = slices.Compact(*l)
	}
	return r
}

// guessName takes the largest name for the last string.
func (t *btf) guessName() uint32 {
	largest := uint32(0)
	t.walk(func(_ int, word byte, p []byte) {
		if word == 'n' {
			largest = max(largest, le.Uint32(p))
		}
	})
	if len(t.strings) < 2 || t.strings[len(t.strings)-1] != 0 {
		return btfNoBase
	}
	last := uint32(bytes.LastIndexByte(t.strings[:len(t.strings)-1], 0) + 1)
	if largest < last || largest >= btfNoBase {
		return btfNoBase
	}
	return largest - last
}

// guessType uses that functions refer to function prototypes: of all numbers that the
// first type may have, that which makes most of them do so.
func (t *btf) guessType() uint32 {
	const sample = 64
	var kind uint32
	var protos []int
	var functions []uint32
	largest := uint32(0)
	t.walk(func(n int, word byte, p []byte) {
		v := le.Uint32(p)
		switch word {
		case 'h':
			kind = v >> 24 & 31
			if kind == btfFuncProto {
				protos = append(protos, n)
			}
		case 't':
			if kind == btfFunc && len(functions) < sample {
				functions = append(functions, v)
			}
			largest = max(largest, v)
		}
	})
	if largest >= btfNoBase || int(largest) < t.count {
		return btfNoBase
	}
	lowest := largest - uint32(t.count) + 1 // all types that are referred to exist
	votes := map[uint32]int{lowest: 0}
	best := lowest
	for _, f := range functions {
		for _, n := range protos {
			if first := f - uint32(n); f >= uint32(n) && first >= lowest {
				votes[first]++
				if v := votes[first]; v > votes[best] || v == votes[best] && first < best {
					best = first
				}
			}
		}
	}
	return best
}

// names are the section's own strings by where they begin.
type btfNames struct {
	tokens *tokens
	number map[uint32]uint32 // by offset
	starts []uint32
}

func (t *btf) names() *btfNames {
	names := &btfNames{tokens: newTokens(0), number: map[uint32]uint32{}}
	start := 0
	for i, c := range t.strings {
		if c != 0 {
			continue
		}
		names.number[uint32(start)] = uint32(len(names.starts))
		names.starts = append(names.starts, uint32(start))
		names.tokens.add(hashName(string(t.strings[start:i])), btfLocal-2)
		start = i + 1
	}
	return names
}

// forward rewrites the types.
func (t *btf) forward(base *btfBase) bool {
	names := t.names()
	next, ok := uint32(0), true
	t.walk(func(n int, word byte, p []byte) {
		v := le.Uint32(p)
		switch word {
		case 't':
			if v < base.firstType {
				v = rank(base.types, v)
			} else {
				own := v - base.firstType
				ok = ok && own < btfBias
				v = btfLocal | (uint32(n)-own+btfBias)&(btfLocal-1)
			}
		case 'n':
			if v < base.firstName {
				v = rank(base.names, v)
				break
			}
			number, known := names.number[v-base.firstName]
			ok = ok && known
			if number == next {
				v = btfLocalNext
				next++
			} else if known {
				v = btfLocal | names.tokens.of[number]
			}
		default:
			return
		}
		le.PutUint32(p, v)
	})
	return ok
}

// inverse rewrites the types back.
func (t *btf) inverse(base *btfBase) bool {
	names := t.names()
	next, ok := uint32(0), true
	t.walk(func(n int, word byte, p []byte) {
		v := le.Uint32(p)
		list := base.types
		switch word {
		case 't':
			if v >= btfLocal {
				le.PutUint32(p, uint32(n)-(v&(btfLocal-1)-btfBias)+base.firstType)
				return
			}
		case 'n':
			list = base.names
			if v >= btfLocal {
				number, known := names.tokens.index[v&(btfLocal-1)]
				if v == btfLocalNext {
					number, known = next, next < uint32(len(names.starts))
					next++
				}
				if ok = ok && known; ok {
					le.PutUint32(p, names.starts[number]+base.firstName)
				}
				return
			}
		default:
			return
		}
		if ok = ok && v < uint32(len(list)); ok {
			le.PutUint32(p, list[v])
		}
	})
	return ok
}

func rank(sorted []uint32, v uint32) uint32 {
	i, _ := slices.BinarySearch(sorted, v)
	return uint32(i)
}

// append writes the base behind a file.
func (r *btfBase) append(b []byte) []byte {
	for _, l := range [][]uint32{r.types, r.names} {
		last := uint32(0)
		for _, v := range l {
			b = le.AppendUint32(b, v-last)
			last = v
		}
	}
	b = le.AppendUint32(b, uint32(len(r.types)))
	b = le.AppendUint32(b, uint32(len(r.names)))
	b = le.AppendUint32(b, r.firstType)
	return le.AppendUint32(b, r.firstName)
}

// cutBase reads what append wrote from the end of b, and gives what lies before.
func cutBase(b []byte) (*btfBase, []byte, bool) {
	const fixed = 16
	if len(b) < fixed {
		return nil, nil, false
	}
	end := b[len(b)-fixed:]
	b = b[:len(b)-fixed]
	types, names := uint64(le.Uint32(end)), uint64(le.Uint32(end[4:]))
	if (types+names)*4 > uint64(len(b)) {
		return nil, nil, false
	}
	r := &btfBase{firstType: le.Uint32(end[8:]), firstName: le.Uint32(end[12:])}
	lists := b[len(b)-int(types+names)*4:]
	r.types, r.names = sums(lists[:types*4]), sums(lists[types*4:])
	return r, b[:len(b)-len(lists)], true
}

func sums(b []byte) []uint32 {
	l := make([]uint32, len(b)/4)
	last := uint32(0)
	for i := range l {
		last += le.Uint32(b[4*i:])
		l[i] = last
	}
	return l
}
