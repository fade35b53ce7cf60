package lzmaparse

// The control bytes of chunks. Those of compressed chunks have chunkLZMA and what they reset, and
// the highest bits of the size of their content.
const (
	chunkEnd    = 0
	chunkFirst  = 1 // stored; the dictionary is forgotten
	chunkStored = 2
	chunkLZMA   = 0x80

	resetNone  = 0
	resetState = 1
	resetProps = 2 // and the state
	resetAll   = 3 // and the dictionary
	resetShift = 5
)

// chunk is what the header of one tells.
type chunk struct {
	control byte // without bits of the size
	props   properties
	size    int // bytes of content
	packed  int // bytes that follow the header
}

func (c *chunk) lzma() bool  { return c.control >= chunkLZMA }
func (c *chunk) resets() int { return int(c.control >> resetShift & 3) }

// forgets tells whether the content before a chunk is forgotten, which only the first one does.
func (c *chunk) forgets() bool {
	return c.control == chunkFirst || c.lzma() && c.resets() == resetAll
}

// readChunk reads the header of a chunk, whose length it gives.
func readChunk(b []byte) (c chunk, n int, ok bool) {
	if len(b) == 0 {
		return c, 0, false
	}
	c.control = b[0]
	switch {
	case c.control == chunkEnd:
		return c, 1, true
	case c.control <= chunkStored && len(b) >= 3:
		c.size = int(b[1])<<8 + int(b[2]) + 1
		c.packed = c.size
		return c, 3, true
	case !c.lzma() || len(b) < 6:
		return c, 0, false
	}
	c.size = int(c.control&(1<<resetShift-1))<<16 + int(b[1])<<8 + int(b[2]) + 1
	c.packed = int(b[3])<<8 + int(b[4]) + 1
	c.control &^= 1<<resetShift - 1
	if c.resets() < resetProps {
		return c, 5, true
	}
	c.props = properties(b[5])
	return c, 6, c.props.valid()
}

// append appends the header.
func (c *chunk) append(b []byte) []byte {
	size := c.size - 1
	switch {
	case c.control == chunkEnd:
		return append(b, chunkEnd)
	case !c.lzma():
		return append(b, c.control, byte(size>>8), byte(size))
	}
	b = append(b, c.control|byte(size>>16), byte(size>>8), byte(size),
		byte((c.packed-1)>>8), byte(c.packed-1))
	if c.resets() >= resetProps {
		b = append(b, byte(c.props))
	}
	return b
}

// reader takes the LZMA2 of a file apart. It writes the content, which it is given the room for.
type reader struct {
	lzma
	b      []byte // from the next chunk on
	end    int    // of the content of the chunk
	packed int    // bytes of all chunks so far
}

// begin reads a chunk's header, and the whole chunk if it is stored. Of a compressed one next gives
// the symbols.
func (r *reader) begin() (c chunk, err error) {
	c, n, ok := readChunk(r.b)
	first := r.packed == 0
	if !ok || c.packed > len(r.b)-n || c.size > len(r.content)-r.at ||
		c.control != chunkEnd && c.forgets() != first {
		return c, errCorrupt
	}
	body := r.b[n : n+c.packed]
	r.b = r.b[n+c.packed:]
	r.packed += n + c.packed
	r.end = r.at + c.size
	switch {
	case c.control == chunkEnd:
		if r.at != len(r.content) {
			return c, errCorrupt
		}
	case !c.lzma():
		copy(r.content[r.at:], body)
		r.at = r.end
	default:
		if !r.take(&c) {
			return c, errCorrupt
		}
		r.readFrom(body)
	}
	return c, nil
}

// take resets what a chunk tells to. It is false as long as there are no properties.
func (l *lzma) take(c *chunk) bool {
	if c.resets() >= resetProps {
		l.props, l.known = c.props, true
	}
	if l.known && c.resets() != resetNone {
		l.reset(l.props)
	}
	return l.known
}

// more tells whether there are more symbols of the chunk that began last.
func (r *reader) more() bool { return r.at < r.end }

// next gives the next symbol.
func (r *reader) next() (s symbol, err error) {
	s, ok := r.symbol(symbol{}, r.end)
	if !ok {
		return s, errCorrupt
	}
	return s, nil
}

// writer makes the chunks of a file, one after another.
type writer struct {
	lzma
	start int // of the content of the chunk
	chunk chunk
}

// begin begins a chunk, of which the size is only known if it is stored. It is false when it is
// none of the content.
func (w *writer) begin(c chunk) bool {
	if w.start = w.at; c.control != chunkEnd && c.forgets() != (w.at == 0) {
		return false
	}
	w.chunk = c
	if c.lzma() {
		w.write()
		return w.take(&w.chunk)
	}
	w.at += c.size
	return c.size <= len(w.content)-w.start && (c.control != chunkEnd || w.at == len(w.content))
}

// full tells whether liblzma ends the chunk before the next symbol.
func (w *writer) full() bool {
	return w.at-w.start >= chunkPlain-matchMax || w.size() >= chunkMax-chunkRoom ||
		w.at == len(w.content)
}

// append ends the chunk and appends it. It is false when it has no content or does not fit.
func (w *writer) append(b []byte) ([]byte, bool) {
	c := &w.chunk
	if !c.lzma() {
		return append(c.append(b), w.content[w.start:w.at]...), true
	}
	w.flush()
	c.size, c.packed = w.at-w.start, len(w.out)
	if c.size <= 0 || c.size > chunkPlain || c.packed > chunkMax {
		return b, false
	}
	return append(c.append(b), w.out...), true
}
