package transform

// A module's BTF continues the kernel's: its types and names are numbered from where the kernel's
// end, and refer to the kernel's. The kernel's numbers change with every build. So does the order
// of types, since the program that writes them works in parallel. References become:
//
//	0                as it is: no type, no name
//	own name         btfLocalNext if it is the next string, else btfLocal | token
//	base name        recent: 1 + how many other base names were used since, else btfNext
//	own named type   btfLocal | btfNamed | token of kind and name
//	other own type   recent: 1 + how many other such types and base types were used since,
//	                 else btfLocal | its number less that of the last one, plus btfBias
//	base type        recent: the same, else btfNext
//	offset           less that of the member before
//
// Own names and types are the module's, base names and types the kernel's. Lists behind the file
// hold the numbers for which btfNext stands.
const (
	btfLocal     = 1 << 31
	btfLocalNext = 1<<32 - 1
	btfNamed     = 1 << 30
	btfBias      = 1 << 29
	btfNext      = btfLocal - 1
	btfNoBase    = btfLocal - 1 // the first own number when there is no good guess
)

// btfBase is what inverse needs beside the rewritten section.
type btfBase struct {
	firstType, firstName uint32 // the lowest numbers of the module's own types and names
	types, names         []uint32
	numbered             bool // what is the kernel's has its number
	order                *btfOrder
}

// btfNames are the strings of the section, numbered in their order, with tokens.
type btfNames struct {
	tokens *tokens
	number map[uint32]uint32 // by offset in the section's strings
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

// named gives tokens to the types whose names are the module's own. It needs the names in their
// original form.
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

// forward rewrites the types, shifted, and completes what inverse needs beside them.
func (t *btf) forward(base *btfBase, s *Shifts) bool {
	if s != nil {
		s.of(t)
	}
	if base.firstType == 0 {
		base.firstType, base.firstName = t.guessType(), t.guessName()
	}
	if base.order != nil {
		return t.forwardOrdered(base)
	}
	if base.numbered {
		return t.forwardHashed(base)
	}
	return t.forwardTypes(base) && t.forwardNames(base)
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
		case word != 'n' || v == 0 || v < base.firstName && base.numbered:
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
			if number == next && !base.numbered {
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
	if base.order != nil {
		return t.inverseOrdered(base)
	}
	if base.numbered {
		return t.inverseHashed(base)
	}
	return t.inverseNames(base) && t.inverseTypes(base)
}

func (t *btf) inverseNames(base *btfBase) bool {
	var last recent
	names, list := t.names(), base.names
	next, ok := uint32(0), true
	t.walk(func(n int, word byte, p []byte) {
		v := le.Uint32(p)
		if word != 'n' || v == 0 || v < btfLocal && base.numbered {
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

// append appends the base to a file: the two lists, then their lengths, firstType and firstName, in
// four bytes each, and the order.
func (r *btfBase) append(b []byte) []byte {
	for _, l := range [][]uint32{r.types, r.names} {
		for _, v := range l {
			b = le.AppendUint32(b, v)
		}
	}
	b = le.AppendUint32(b, uint32(len(r.types)))
	b = le.AppendUint32(b, uint32(len(r.names)))
	b = le.AppendUint32(b, r.firstType)
	b = le.AppendUint32(b, r.firstName)
	if r.order != nil {
		b = r.order.append(b)
	}
	return b
}

// cut reads what append has appended to b, and gives the file before it.
func (r *btfBase) cut(b []byte) ([]byte, bool) {
	ok := true
	if r.order != nil {
		b, ok = r.order.cut(b)
	}
	const fixed = 16
	if len(b) < fixed || !ok {
		return nil, false
	}
	end := b[len(b)-fixed:]
	b = b[:len(b)-fixed]
	types, names := uint64(le.Uint32(end)), uint64(le.Uint32(end[4:]))
	if (types+names)*4 > uint64(len(b)) {
		return nil, false
	}
	r.firstType, r.firstName = le.Uint32(end[8:]), le.Uint32(end[12:])
	lists := b[len(b)-int(types+names)*4:]
	r.types, r.names = words(lists[:types*4]), words(lists[types*4:])
	return b[:len(b)-len(lists)], true
}

func words(b []byte) []uint32 {
	l := make([]uint32, len(b)/4)
	for i := range l {
		l[i] = le.Uint32(b[4*i:])
	}
	return l
}
