package lzmaparse

// prob is the probability that a bit is 0, in 2048ths.
type prob uint16

const (
	probBits  = 11
	probHalf  = 1 << (probBits - 1)
	probMove  = 5
	rangeFull = 1<<32 - 1
	rangeMin  = 1 << 24
)

// rangeCoder is the arithmetic coder of LZMA, in both directions. A method is given what to write,
// which a reader ignores, and gives what was coded.
type rangeCoder struct {
	reading bool
	width   uint32

	in    []byte // a reader's
	value uint32

	low       uint64 // a writer's
	cache     byte
	cacheSize int // bytes that a carry may still change
	out       []byte
}

// readFrom begins to read a chunk. Bytes behind its end are 0.
func (r *rangeCoder) readFrom(chunk []byte) {
	r.reading, r.width, r.in, r.value = true, rangeFull, chunk, 0
	for range 5 {
		r.value = r.value<<8 | uint32(r.next())
	}
}

// write begins to write a chunk.
func (r *rangeCoder) write() {
	r.low, r.width, r.cache, r.cacheSize, r.out = 0, rangeFull, 0, 1, r.out[:0]
}

// size gives the bytes that the output would have if it ended now.
func (r *rangeCoder) size() int { return len(r.out) + r.cacheSize + 4 }

func (r *rangeCoder) next() (b byte) {
	if len(r.in) == 0 {
		return 0
	}
	b, r.in = r.in[0], r.in[1:]
	return b
}

// normalize moves a byte in or out.
func (r *rangeCoder) normalize() {
	if r.reading {
		r.value = r.value<<8 | uint32(r.next())
	} else {
		r.shift()
	}
	r.width <<= 8
}

// bit codes a bit with a probability that adapts.
func (r *rangeCoder) bit(p *prob, bit uint32) uint32 {
	if r.width < rangeMin {
		r.normalize()
	}
	v := *p
	bound := r.width >> probBits * uint32(v)
	if r.reading {
		if bit = 0; r.value >= bound {
			bit = 1
			r.value -= bound
		}
	} else if bit != 0 {
		r.low += uint64(bound)
	}
	if bit == 0 {
		r.width = bound
		*p = v + (1<<probBits-v)>>probMove
	} else {
		r.width -= bound
		*p = v - v>>probMove
	}
	return bit
}

// direct codes the low n bits of value, with even probabilities.
func (r *rangeCoder) direct(value, n uint32) (got uint32) {
	for n > 0 {
		n--
		if r.width < rangeMin {
			r.normalize()
		}
		r.width >>= 1
		bit := value >> n & 1
		if r.reading {
			if bit = 0; r.value >= r.width {
				bit = 1
				r.value -= r.width
			}
		} else if bit != 0 {
			r.low += uint64(r.width)
		}
		got = got<<1 | bit
	}
	return got
}

// tree codes the low n bits of symbol, the highest first.
func (r *rangeCoder) tree(probs []prob, n, symbol uint32) uint32 {
	at := uint32(1)
	for i := n; i > 0; i-- {
		at = at<<1 | r.bit(&probs[at], symbol>>(i-1)&1)
	}
	return at - 1<<n
}

// reverseTree codes the low n bits of symbol, the lowest first. The probabilities begin with that
// of node 1.
func (r *rangeCoder) reverseTree(probs []prob, n, symbol uint32) (got uint32) {
	at := uint32(1)
	for i := range n {
		bit := r.bit(&probs[at-1], symbol>>i&1)
		at = at<<1 | bit
		got |= bit << i
	}
	return got
}

// shift moves the highest byte of low into the output.
func (r *rangeCoder) shift() {
	if uint32(r.low) < 0xff000000 || r.low>>32 != 0 {
		carry := byte(r.low >> 32)
		for b := r.cache + carry; r.cacheSize > 0; r.cacheSize-- {
			r.out = append(r.out, b)
			b = 0xff + carry
		}
		r.cache = byte(r.low >> 24)
	}
	r.cacheSize++
	r.low = r.low & 0xffffff << 8
}

// flush ends the output.
func (r *rangeCoder) flush() {
	if r.width < rangeMin {
		r.shift()
	}
	for range 5 {
		r.shift()
	}
}
