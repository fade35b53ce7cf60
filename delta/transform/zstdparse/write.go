package zstdparse

// writer makes the blocks of a frame, one after another. The zero value is usable.
type writer struct {
	known known
	tree  *tree
	rest  []byte // literals of a block
}

// append appends the bytes of the next block, which is that of content. An error tells that a block
// of a reader is not that of this content.
func (w *writer) append(dst []byte, b *block, content []byte) ([]byte, error) {
	if len(content) != b.size || b.size > blockMax {
		return dst, errContent
	}
	at, ok := len(dst), true
	dst = append(dst, 0, 0, 0)
	n := b.size
	switch b.kind {
	case raw:
		dst = append(dst, content...)
	case oneByte:
		ok = n > 0 && sameBytes(content)
		dst = append(dst, content[:min(n, 1)]...)
	case compressed:
		if dst, ok = w.compressed(dst, b, content); ok {
			n = len(dst) - at - 3
			ok = n <= blockMax
		}
	default:
		ok = false
	}
	if !ok {
		return dst[:at], errContent
	}
	header := n<<3 | int(b.kind)<<1
	if b.last {
		header |= 1
	}
	copy(dst[at:], []byte{byte(header), byte(header >> 8), byte(header >> 16)})
	return dst, nil
}

func sameBytes(b []byte) bool {
	for _, c := range b {
		if c != b[0] {
			return false
		}
	}
	return true
}

// compressed appends the body of a compressed block.
func (w *writer) compressed(dst []byte, b *block, content []byte) (_ []byte, ok bool) {
	literals := w.rest[:0]
	for _, s := range b.sequences {
		if uint64(s.literals)+uint64(s.match) > uint64(len(content)) {
			return dst, false
		}
		literals = append(literals, content[:s.literals]...)
		content = content[s.literals+s.match:]
	}
	literals = append(literals, content...)
	w.rest = literals
	if dst, ok = w.literals(dst, b, literals); !ok {
		return dst, false
	}
	switch n := len(b.sequences); {
	case n < 128:
		dst = append(dst, byte(n))
	case n < longCount:
		dst = append(dst, byte(n>>8+128), byte(n))
	default:
		dst = append(dst, 255, byte(n-longCount), byte((n-longCount)>>8))
	}
	if len(b.sequences) == 0 {
		return dst, true
	}
	if n, ok := w.known.read(b.modes, b.tables); !ok || n != len(b.tables) {
		return dst, false
	}
	dst = append(append(dst, b.modes), b.tables...)
	return w.known.append(dst, b.sequences)
}

// literals appends the section of literals.
func (w *writer) literals(dst []byte, b *block, literals []byte) (_ []byte, ok bool) {
	n := len(literals)
	if b.literals <= literalsOneByte {
		switch kind := int(b.literals); {
		case n < 1<<5:
			dst = append(dst, byte(kind|n<<3))
		case n < 1<<12:
			dst = append(dst, byte(kind|1<<2|n<<4), byte(n>>4))
		default:
			dst = append(dst, byte(kind|3<<2|n<<4), byte(n>>4), byte(n>>12))
		}
		if b.literals == literalsRaw {
			return append(dst, literals...), true
		}
		return append(dst, literals[:min(n, 1)]...), n > 0 && sameBytes(literals)
	}
	if b.literals == literalsTree {
		if w.tree, ok = readTree(b.tree); !ok {
			return dst, false
		}
	}
	if w.tree == nil {
		return dst, false
	}
	size, bits, format := 3, 10, 1
	switch {
	case b.oneStream:
		format = 0
	case n >= 1<<14:
		size, bits, format = 5, 18, 3
	case n >= 1<<10:
		size, bits, format = 4, 14, 2
	}
	at := len(dst)
	dst = append(dst, make([]byte, size)...)
	dst = append(dst, b.tree...)
	if dst, ok = w.streams(dst, b.oneStream, literals); !ok {
		return dst, false
	}
	c := len(dst) - at - size
	v := uint64(b.literals) | uint64(format)<<2 | uint64(n)<<4 | uint64(c)<<(4+bits)
	for i := range size {
		dst[at+i] = byte(v >> (8 * i))
	}
	return dst, n < 1<<bits && c < 1<<bits
}

// streams appends literals as one stream of bits or as four, with the sizes of three before them.
func (w *writer) streams(dst []byte, one bool, literals []byte) (_ []byte, ok bool) {
	if one {
		return w.tree.append(dst, literals)
	}
	const sizes = 6
	at, each := len(dst), (len(literals)+3)/4
	dst = append(dst, make([]byte, sizes)...)
	for i := range 4 {
		begin, part := len(dst), literals[:min(each, len(literals))]
		literals = literals[len(part):]
		if dst, ok = w.tree.append(dst, part); !ok {
			return dst, false
		}
		if size := len(dst) - begin; 2*i < sizes {
			dst[at+2*i], dst[at+2*i+1] = byte(size), byte(size>>8)
		}
	}
	return dst, true
}

// append appends the stream of bits of sequences, from the last to the first one.
func (k *known) append(dst []byte, sequences []sequence) (_ []byte, ok bool) {
	w := bitWriter{b: dst}
	var states [tables]uint32
	for i := len(sequences) - 1; i >= 0; i-- {
		s := &sequences[i]
		if s.offset == 0 || s.match < matchMin {
			return dst, false
		}
		l, o, m := codeOf(literalCodes, s.literals), offsetCode(s.offset), codeOf(matchCodes, s.match)
		if !k[lengths].has(l) || !k[offsets].has(o) || !k[matches].has(m) {
			return dst, false
		}
		if i == len(sequences)-1 {
			states = [tables]uint32{k[lengths].last(l), k[offsets].last(o), k[matches].last(m)}
		} else {
			states[offsets] = k[offsets].write(&w, states[offsets], o)
			states[matches] = k[matches].write(&w, states[matches], m)
			states[lengths] = k[lengths].write(&w, states[lengths], l)
		}
		w.add(s.literals-literalCodes[l].base, int(literalCodes[l].bits))
		w.add(s.match-matchCodes[m].base, int(matchCodes[m].bits))
		w.add(s.offset, int(o))
	}
	w.add(states[matches], k[matches].log)
	w.add(states[offsets], k[offsets].log)
	w.add(states[lengths], k[lengths].log)
	return w.close(), true
}
