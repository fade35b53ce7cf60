package parsestep

import "math"

// Coder writes or reads bits, each with a probability that it mixes from what the same contexts had
// before. Both directions run the same code, so that they learn the same. A method is given what to
// write, which a reader ignores, and gives what was coded.
type Coder struct {
	Writing  bool
	in       []byte
	out      []byte // only when writing
	low      uint32
	high     uint32
	value    uint32 // when reading: of the bytes between low and high
	slots    []slot
	shift    int                            // bits of a hash that do not count for slots
	inputs   int                            // contexts of a bit
	weights  [][weightSets][inputsMax]int32 // by stream
	overread int                            // bytes behind the end of in
}

// contexts are those of a bit: as many as the coder has inputs.
type contexts [inputsMax]uint32

// slot is a probability of a one, of 22 bits, and below it how often it was changed, of 10 bits.
type slot uint32

const (
	inputsMax  = 8
	weightSets = 64
	countBits  = 10
	countMax   = 255 // changes after which a slot adapts no slower
	weightUnit = 1 << 16
	overMax    = 8 // bytes that a reader may take behind the end
)

// NewCoder makes a coder that reads in, or one that writes. The streams of a format's bits have
// nothing in common.
func NewCoder(in []byte, writing bool, t Traits, s Sizes) *Coder {
	c := &Coder{in: in, Writing: writing, high: math.MaxUint32, slots: make([]slot, 1<<s.Slots),
		shift: 32 - s.Slots, inputs: t.Contexts,
		weights: make([][weightSets][inputsMax]int32, t.Streams)}
	for i := range c.slots {
		c.slots[i] = 1 << 31
	}
	for i := range c.weights {
		for k := range c.weights[i] {
			for j := range c.weights[i][k] {
				c.weights[i][k][j] = int32(weightUnit * 9 / (5 * c.inputs))
			}
		}
	}
	if !c.Writing {
		for range 4 {
			c.value = c.value<<8 | uint32(c.next())
		}
	}
	return c
}

func (c *Coder) next() (b byte) {
	if len(c.in) == 0 {
		c.overread++
		return 0
	}
	b, c.in = c.in[0], c.in[1:]
	return b
}

// bit codes a bit of a stream. set, below 64, chooses weights for the contexts'
// probabilities.
func (c *Coder) bit(bit bool, stream, set int, given *contexts) bool {
	var stretched [inputsMax]int32
	var at [inputsMax]*slot
	weights := &c.weights[stream][set]
	sum := int64(0)
	for i, x := range given[:c.inputs] {
		h := x*0x9E3779B1 ^ uint32(stream*c.inputs+i+1)*0x85EBCA6B
		h = (h ^ h>>15) * 0xC2B2AE35
		at[i] = &c.slots[(h^h>>13)>>(c.shift&31)]
		stretched[i] = stretch[*at[i]>>20]
		sum += int64(weights[i]) * int64(stretched[i])
	}
	p := squash(sum >> 16)
	bit = c.Code(bit, uint32(p))
	missed := -p
	if bit {
		missed += 1 << 16
	}
	for i, s := range at[:c.inputs] {
		weights[i] += int32((int64(stretched[i])*int64(missed)*6 + 1<<17) >> 18)
		s.change(bit)
	}
	return bit
}

// change moves a probability towards a bit.
func (s *slot) change(bit bool) {
	p, n := *s>>countBits, *s&(1<<countBits-1)
	if bit {
		p += (1<<22 - 1 - p) / (n + 2)
	} else {
		p -= p / (n + 2)
	}
	if n < countMax {
		n++
	}
	*s = p<<countBits | n
}

// Code codes a bit that is a one with a probability of p of 1<<16, which is neither 0 nor 1.
func (c *Coder) Code(bit bool, p uint32) bool {
	middle := c.low + uint32(uint64(c.high-c.low)*uint64(p)>>16)
	if !c.Writing {
		bit = c.value <= middle
	}
	if bit {
		c.high = middle
	} else {
		c.low = middle + 1
	}
	for c.low>>24 == c.high>>24 {
		if c.Writing {
			c.out = append(c.out, byte(c.low>>24))
		} else {
			c.value = c.value<<8 | uint32(c.next())
		}
		c.low, c.high = c.low<<8, c.high<<8|0xff
	}
	return bit
}

// Overread tells whether a reader took more bytes than there are, so that what it gives is made up.
func (c *Coder) Overread() bool { return c.overread > overMax }

// Finish gives what was written.
func (c *Coder) Finish() []byte {
	return append(c.out, byte(c.high>>24), byte(c.high>>16), byte(c.high>>8), byte(c.high))
}

// Number codes a number below 1<<31: the length of its binary form, then that from the second digit
// on. Of the digits only the first few depend on the context.
func (c *Coder) Number(v uint32, stream int, context uint32) uint32 {
	length := 0
	for x := v + 1; x > 1; x >>= 1 {
		length++
	}
	n := 0
	for n < 31 && c.bit(n < length, stream, n, &contexts{uint32(n) | context<<5, uint32(n)}) {
		n++
	}
	out := uint32(1)
	for i := n - 1; i >= 0; i-- {
		b := (v+1)>>i&1 != 0
		if n-i <= 4 {
			x := uint32(n)<<5 | out | 1<<31
			b = c.bit(b, stream, 32+n, &contexts{x, x | context<<11})
		} else {
			b = c.Code(b, 1<<15)
		}
		if out <<= 1; b {
			out |= 1
		}
	}
	return out - 1
}

// Bytes codes bytes, whose number is known. A reader gets them in b.
func (c *Coder) Bytes(b []byte, stream int) {
	last := uint32(0)
	for i := range b {
		out := uint32(1)
		for k := 7; k >= 0; k-- {
			bit := c.bit(b[i]>>k&1 != 0, stream, k, &contexts{
				out, out | last<<8 | 1<<31, out | uint32(min(i, 255))<<8 | 1<<30,
			})
			if out <<= 1; bit {
				out |= 1
			}
		}
		b[i] = byte(out)
		last = out & 0xff
	}
}

// logistic has 1<<16 / (1 + exp(-x)) for x from -8 to 8, in steps of a half.
var logistic = [33]int32{
	22, 36, 60, 98, 162, 267, 439, 720, 1179, 1921, 3108,
	4971, 7812, 11955, 17625, 24743, 32768, 40793, 47911, 53581, 57724, 60565,
	62428, 63615, 64357, 64816, 65097, 65269, 65374, 65438, 65476, 65500, 65514,
}

const (
	stretchUnit = 256             // for 1
	stretchMax  = 8 * stretchUnit // exclusive
)

// squash gives the probability, of 1<<16, for a sum of stretched ones.
func squash(x int64) int32 {
	x = min(max(x, 1-stretchMax), stretchMax-1) + stretchMax
	i, part := x>>7, int32(x&127)
	return (logistic[i]*(128-part) + logistic[i+1]*part) >> 7
}

// stretch is the inverse of squash, for probabilities of 1<<12.
var stretch = func() (t [1 << 12]int32) {
	p := 0
	for x := int64(1 - stretchMax); x < stretchMax; x++ {
		for ; p < len(t) && int32(p)<<4 <= squash(x); p++ {
			t[p] = int32(x)
		}
	}
	for ; p < len(t); p++ {
		t[p] = stretchMax - 1
	}
	return t
}()
