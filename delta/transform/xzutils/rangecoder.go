package xzutils

// prob is the probability that a bit is 0, in 2048ths.
type prob uint16

const (
	probBits  = 11
	probHalf  = 1 << (probBits - 1)
	probMove  = 5
	rangeFull = 1<<32 - 1
	rangeMin  = 1 << 24
)

// rangeCoder is the arithmetic coder of LZMA.
type rangeCoder struct {
	low       uint64
	width     uint32
	cache     byte
	cacheSize uint32 // bytes that a carry may still change
	out       []byte
}

func (r *rangeCoder) reset() {
	r.low, r.width, r.cache, r.cacheSize = 0, rangeFull, 0, 1
}

// size gives the bytes that the output would have if the coder were flushed now.
func (r *rangeCoder) size() int { return len(r.out) + int(r.cacheSize) + 4 }

func (r *rangeCoder) bit(p *prob, bit uint32) {
	if r.width < rangeMin {
		r.shift()
		r.width <<= 8
	}
	v := *p
	bound := r.width >> probBits * uint32(v)
	if bit == 0 {
		r.width = bound
		*p = v + (1<<probBits-v)>>probMove
	} else {
		r.low += uint64(bound)
		r.width -= bound
		*p = v - v>>probMove
	}
}

// direct codes the low n bits of value, with even probabilities.
func (r *rangeCoder) direct(value, n uint32) {
	for n > 0 {
		n--
		if r.width < rangeMin {
			r.shift()
			r.width <<= 8
		}
		r.width >>= 1
		if value>>n&1 == 1 {
			r.low += uint64(r.width)
		}
	}
}

// tree codes the low n bits of symbol, the highest first.
func (r *rangeCoder) tree(probs []prob, n, symbol uint32) {
	at := uint32(1)
	for n > 0 {
		n--
		bit := symbol >> n & 1
		r.bit(&probs[at], bit)
		at = at<<1 | bit
	}
}

// reverseTree codes the low n bits of symbol, the lowest first. The probabilities begin with that
// of node 1.
func (r *rangeCoder) reverseTree(probs []prob, n, symbol uint32) {
	at := uint32(1)
	for range n {
		bit := symbol & 1
		symbol >>= 1
		r.bit(&probs[at-1], bit)
		at = at<<1 | bit
	}
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

// flush ends the output, and is ready for another one.
func (r *rangeCoder) flush() {
	if r.width < rangeMin {
		r.shift()
	}
	for range 5 {
		r.shift()
	}
	r.reset()
}
