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
	fixed  string // words that follow: n name, t type, o offset, . none of these
	each   string // words that follow as often as the type says
}

var btfShapes = [btfKinds]btfShape{
	btfInt:       {fixed: "."},
	btfPtr:       {refers: true},
	btfArray:     {fixed: "tt."},
	btfStruct:    {each: "nto"},
	btfUnion:     {each: "nto"},
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
// is: n a name, t a type, o an offset, h the description of the type itself. visit may change p,
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
// that ends, and refer to that. The kernel's numbers change with every build, and the
// order of types, too, since the program that writes them works in parallel. They become:
//
//	0            as it is: no type, no name
//	own name     btfLocalNext where names are referred to in their order, else btfLocal | token
//	own type     with a name: btfLocal | btfNamed | token of kind and name
//	other type   1 + how many others were referred to since it was, or
//	base type    btfNext
//	base name    likewise
//	own type     btfLocal | its number less that of the last one coded so, biased
//	offset       less that of the member before
//
// The numbers for which btfNext stands are listed behind the file.
const (
	btfLocal     = 1 << 31
	btfLocalNext = 1<<32 - 1
	btfNamed     = 1 << 30
	btfBias      = 1 << 29
	btfNext      = btfLocal - 1
	btfNoBase    = btfLocal - 1 // first own number when it cannot be told
)

// btfBase is what is not in the section itself.
type btfBase struct {
	firstType, firstName uint32 // numbers from which on they are the module's own
	types, names         []uint32
}

// recentMax bounds the time that a look into recent takes.
const recentMax = 256

// recent is a list of values, the last used one first.
type recent []uint32

// use moves v to the front and tells how far behind it was; -1: it was not there.
func (r *recent) use(v uint32) int {
	i := slices.Index(*r, v)
	at := i
	if i < 0 {
		if len(*r) < recentMax {
			*r = append(*r, v)
		}
		at = len(*r) - 1
	}
	copy((*r)[1:at+1], (*r)[:at])
	(*r)[0] = v
	return i
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
// first type may have, it takes that which makes most of them do so, or another that
// comes near and explains the other references better.
func (t *btf) guessType() uint32 {
	const functionMax, protoMax, closeMax = 64, 8192, 32
	var protos []int
	var functions, refers []uint32
	kinds := make([]uint32, 0, t.count)
	t.walk(func(n int, word byte, p []byte) {
		v := le.Uint32(p)
		switch word {
		case 'h':
			kinds = append(kinds, v>>24&31)
			if kinds[n] == btfFuncProto && len(protos) < protoMax {
				protos = append(protos, n)
			}
		case 't':
			if kinds[n] == btfFunc {
				functions = append(functions, v)
			}
			refers = append(refers, v)
		}
	})
	slices.Sort(refers)
	refers = slices.Compact(refers)
	if len(refers) == 0 || refers[len(refers)-1] >= btfNoBase || int(refers[len(refers)-1]) < t.count {
		return btfNoBase
	}
	lowest := refers[len(refers)-1] - uint32(t.count) + 1 // all types that are referred to exist
	// The function that refers to the highest number refers to one of the module's own types, if any does.
	slices.Sort(functions)
	functions = functions[max(0, len(functions)-functionMax):]
	type candidate struct {
		first uint32
		votes int
	}
	var close []candidate
	for _, n := range protos {
		if f := functions; len(f) > 0 && f[len(f)-1] >= uint32(n)+lowest {
			first := f[len(f)-1] - uint32(n)
			close = append(close, candidate{first, votes(functions, protos, first)})
		}
	}
	slices.SortStableFunc(close, func(a, b candidate) int { return b.votes - a.votes })
	best, bestFit := lowest, -1
	for _, c := range close[:min(len(close), closeMax)] {
		if c.votes < close[0].votes-close[0].votes/8 {
			break
		}
		if fit := fit(kinds, refers, c.first); fit > bestFit || fit == bestFit && c.first < best {
			best, bestFit = c.first, fit
		}
	}
	return best
}

// votes counts the functions whose type is a prototype if the first type has that number.
func votes(functions []uint32, protos []int, first uint32) int {
	n := 0
	for _, f := range functions {
		if _, found := slices.BinarySearch(protos, int(f)-int(first)); found {
			n++
		}
	}
	return n
}

// fit counts the types that are referred to as their kind wants: functions and sections never, others always.
func fit(kinds, refers []uint32, first uint32) int {
	at, _ := slices.BinarySearch(refers, first)
	refers = refers[at:]
	n := 0
	for i, kind := range kinds {
		used := len(refers) > 0 && refers[0] == first+uint32(i)
		if used {
			refers = refers[1:]
		}
		if used != (kind == btfFunc || kind == btfDatasec) {
			n++
		}
	}
	return n
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
		names.tokens.add(hashName(string(t.strings[start:i])), btfNamed-1)
		start = i + 1
	}
	return names
}

// named gives tokens to those of the section's types that have a name of its own. The
// names must be in their original form.
func (t *btf) named(firstName uint32) *tokens {
	tokens := newTokens(t.count)
	first := false
	var kind uint32
	t.walk(func(n int, word byte, p []byte) {
		v := le.Uint32(p)
		switch {
		case word == 'h':
			kind, first = v>>24&31, true
		case word == 'n' && first:
			first = false
			if v >= firstName {
				tokens.add(kind*0x9e3779b1^hashName(stringAt(t.strings, v-firstName)), btfNamed-1)
			} else {
				tokens.skip()
			}
		}
	})
	return tokens
}

// forward rewrites the types and gives what the section lacks then.
func (t *btf) forward() (*btfBase, bool) {
	base := &btfBase{firstType: t.guessType(), firstName: t.guessName()}
	return base, t.forwardTypes(base) && t.forwardNames(base)
}

func (t *btf) forwardTypes(base *btfBase) bool {
	var last recent
	named := t.named(base.firstName)
	lastOwn, lastOffset, ok := uint32(0), uint32(0), true
	t.walk(func(n int, word byte, p []byte) {
		v := le.Uint32(p)
		own := v - base.firstType
		switch {
		case word == 'h':
			lastOffset = 0
			return
		case word == 'o':
			v, lastOffset = v-lastOffset, v
		case word != 't' || v == 0:
			return
		case v >= base.firstType && int64(own) < int64(len(named.of)) && named.of[own] != 0:
			v = btfLocal | btfNamed | named.of[own]
		default:
			if at := last.use(v); at >= 0 {
				v = uint32(at) + 1
			} else if v < base.firstType {
				base.types = append(base.types, v)
				v = btfNext
			} else {
				ok = ok && own < btfBias
				v, lastOwn = btfLocal|(own-lastOwn+btfBias), own
			}
		}
		le.PutUint32(p, v)
	})
	return ok
}

func (t *btf) forwardNames(base *btfBase) bool {
	var last recent
	names := t.names()
	next, ok := uint32(0), true
	t.walk(func(n int, word byte, p []byte) {
		v := le.Uint32(p)
		switch {
		case word != 'n' || v == 0:
			return
		case v < base.firstName:
			at := last.use(v)
			if at < 0 {
				base.names = append(base.names, v)
				at = btfNext - 1
			}
			v = uint32(at) + 1
		default:
			number, known := names.number[v-base.firstName]
			ok = ok && known
			if number == next {
				v = btfLocalNext
				next++
			} else if known {
				v = btfLocal | names.tokens.of[number]
			}
		}
		le.PutUint32(p, v)
	})
	return ok
}

// inverse rewrites the types back.
func (t *btf) inverse(base *btfBase) bool {
	return t.inverseNames(base) && t.inverseTypes(base)
}

func (t *btf) inverseNames(base *btfBase) bool {
	var last recent
	names, list := t.names(), base.names
	next, ok := uint32(0), true
	t.walk(func(n int, word byte, p []byte) {
		v := le.Uint32(p)
		if word != 'n' || v == 0 {
			return
		}
		known := false
		if v < btfLocal {
			v, known = last.get(v, &list)
		} else {
			var number uint32
			number, known = names.tokens.index[v&(btfLocal-1)]
			if v == btfLocalNext {
				number, known = next, next < uint32(len(names.starts))
				next++
			}
			if known {
				v = names.starts[number] + base.firstName
			}
		}
		ok = ok && known
		le.PutUint32(p, v)
	})
	return ok
}

func (t *btf) inverseTypes(base *btfBase) bool {
	var last recent
	named := t.named(base.firstName)
	list := base.types
	lastOwn, lastOffset, ok := uint32(0), uint32(0), true
	t.walk(func(n int, word byte, p []byte) {
		v := le.Uint32(p)
		known := true
		switch {
		case word == 'h':
			lastOffset = 0
			return
		case word == 'o':
			v += lastOffset
			lastOffset = v
		case word != 't' || v == 0:
			return
		case v < btfLocal:
			v, known = last.get(v, &list)
		case v&btfNamed != 0:
			v, known = named.index[v&(btfNamed-1)]
			v += base.firstType
		default:
			lastOwn += v&(btfNamed-1) - btfBias
			v = lastOwn + base.firstType
			last.use(v)
		}
		ok = ok && known
		le.PutUint32(p, v)
	})
	return ok
}

// get gives the value for which v stands: a recent one, or the next of a list.
func (r *recent) get(v uint32, list *[]uint32) (uint32, bool) {
	if v == btfNext {
		if len(*list) == 0 {
			return 0, false
		}
		v, *list = (*list)[0], (*list)[1:]
	} else {
		if int64(v) > int64(len(*r)) {
			return 0, false
		}
		v = (*r)[v-1]
	}
	r.use(v)
	return v, true
}

// append writes the base behind a file.
func (r *btfBase) append(b []byte) []byte {
	for _, l := range [][]uint32{r.types, r.names} {
		for _, v := range l {
			b = le.AppendUint32(b, v)
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
	r.types, r.names = words(lists[:types*4]), words(lists[types*4:])
	return r, b[:len(b)-len(lists)], true
}

func words(b []byte) []uint32 {
	l := make([]uint32, len(b)/4)
	for i := range l {
		l[i] = le.Uint32(b[4*i:])
	}
	return l
}
