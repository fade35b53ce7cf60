package lz4hc

// encoder writes blocks, one after another.
type encoder struct {
	finder
	path path

	out      []byte
	literals int // where the literals begin that are not yet written
	last     int // the last position where a match may begin
}

func newEncoder(level int) *encoder {
	return &encoder{finder: finder{search: searches[level]}}
}

// append appends the block of src to dst.
func (e *encoder) append(dst, src []byte) []byte {
	e.reset(src)
	e.out, e.literals, e.last = dst, 0, len(src)-lastMatch
	if e.enough > 0 {
		e.cheapest()
	} else {
		e.lazy()
	}
	e.lengths(len(src)-e.literals, 0)
	e.out = append(e.out, src[e.literals:]...)
	return e.out
}

// sequence writes the literals before a match, and the match: a byte with both lengths, as far as
// they fit in 4 bits; the rest of the first; the literals; the distance, a u16; the rest of the
// second.
func (e *encoder) sequence(m match) {
	e.lengths(m.start-e.literals, m.length-minMatch)
	e.out = append(e.out, e.src[e.literals:m.start]...)
	distance := m.start - m.from
	e.out = append(e.out, byte(distance), byte(distance>>8))
	e.rest(m.length - minMatch)
	e.literals = m.end()
}

// inToken is the largest length in a sequence's first byte; it and longer ones have a rest.
const inToken = 15

// lengths writes the first byte of a sequence, and the rest of the number of literals.
func (e *encoder) lengths(literals, match int) {
	e.out = append(e.out, byte(min(literals, inToken)<<4|min(match, inToken)))
	e.rest(literals)
}

func (e *encoder) rest(length int) {
	if length < inToken {
		return
	}
	for length -= inToken; length >= 255; length -= 255 {
		e.out = append(e.out, 255)
	}
	e.out = append(e.out, byte(length))
}
