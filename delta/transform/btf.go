package transform

// Sizes and kinds of types in BTF, the kernel's type information (Linux,
// Documentation/bpf/btf.rst).
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
	btfForward   = 7
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

// btfShape says which words of a type's description are names and which are numbers of other types.
type btfShape struct {
	refers bool   // the third word of the common part is the number of a type
	fixed  string // words that follow once: n name, t type, o offset, . anything else
	each   string // words that follow for each member
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

// btf is the layout of a BTF section. Rewriting does not change it.
type btf struct {
	types, strings []byte
	count          int // number of types

	firstType, firstName uint32 // the lowest numbers of its own; others are a kernel's
}

// parseBTF finds the parts of a section and checks that its types are well-formed.
func parseBTF(b []byte) (*btf, bool) {
	if len(b) < btfHeaderSize || le.Uint16(b) != btfMagic || b[2] != 1 ||
		le.Uint32(b[4:]) != btfHeaderSize {
		return nil, false
	}
	part := func(at int) ([]byte, bool) {
		off, size, body := uint64(le.Uint32(b[at:])), uint64(le.Uint32(b[at+4:])), b[btfHeaderSize:]
		if off > uint64(len(body)) || size > uint64(len(body))-off {
			return nil, false
		}
		return body[off : off+size : off+size], true
	}
	t := btf{firstType: 1}
	var ok1, ok2 bool
	t.types, ok1 = part(8)
	t.strings, ok2 = part(16)
	typesEnd := uint64(le.Uint32(b[8:])) + uint64(len(t.types))
	if !ok1 || !ok2 || uint64(le.Uint32(b[16:])) < typesEnd {
		return nil, false
	}
	return &t, t.walk(func(n int, word byte, p []byte) { t.count = n + 1 })
}

// btfSize is how many bytes the description of a type has that begins in b.
func btfSize(b []byte) int {
	info := le.Uint32(b[4:])
	shape := &btfShapes[info>>24&31]
	return btfTypeSize + 4*len(shape.fixed) + 4*len(shape.each)*int(info&0xffff)
}

// walk calls visit for each word p of all types. n counts types from 0. word is the kind of the
// word: n name, t type, o offset, h kind and size of the type, . anything else. visit may change p
// unless it is an h. walk returns false when the types do not end where the section does.
func (t *btf) walk(visit func(n int, word byte, p []byte)) bool {
	b := t.types
	for n := 0; len(b) > 0; n++ {
		if len(b) < btfTypeSize {
			return false
		}
		kind := le.Uint32(b[4:]) >> 24 & 31
		if kind == 0 || kind >= btfKinds {
			return false
		}
		shape, size := &btfShapes[kind], btfSize(b)
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
