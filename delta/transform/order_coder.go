package transform

import (
	"math/bits"
	"slices"
	"sort"

	"deltaup/delta/transform/parsestep"
)

// orderCoder writes or reads the order of things that have an expected one. The things lie in
// blocks, those of one source file. A thing is mostly the next one of the block at hand that was
// not there yet. Else come
//
//	number   the block: 0 a new one, 1 and more: how many others things were taken from since
//	number   of a new block: how far it is from the last new one, modulo their number
//	number   how many things that are left in the block are passed over, from where it was left last,
//	         and from its end to its beginning
type orderCoder struct {
	*parsestep.Coder
	none    bool                      // the order is as expected
	chances [len(orderChances)]uint16 // of a one, in 1<<16, by context
}

func newOrderCoder(in []byte, writing bool) *orderCoder {
	c := &orderCoder{
		Coder: parsestep.NewCoder(in, writing, parsestep.Traits{}, parsestep.Sizes{}),
		none:  len(in) == 0 && !writing,
	}
	for i := range c.chances {
		c.chances[i] = uint16(orderChances[i])<<8 | 0x80
	}
	return c
}

func (c *orderCoder) bit(bit bool, context int) bool {
	const slow = 4
	p := &c.chances[context]
	if bit = c.Code(bit, uint32(*p)); bit {
		*p += (1<<16 - 1 - *p) >> slow
	} else {
		*p -= *p >> slow
	}
	return bit
}

// number codes a number below 1<<numberBits: the length of its binary form, then that from the
// second digit on.
func (c *orderCoder) number(v, context int) int {
	n := 0
	for n < numberBits && c.bit(bits.Len(uint(v)) > n, context+min(n, numberContexts-1)) {
		n++
	}
	out := min(n, 1)
	for i := n - 2; i >= 0; i-- {
		out <<= 1
		if c.Code(v>>i&1 != 0, 1<<15) {
			out |= 1
		}
	}
	return out
}

// finish gives what was written, without the end that a reader makes up.
func (c *orderCoder) finish() []byte {
	b := c.Finish()
	return b[:len(b)-3]
}

const (
	numberBits     = 18
	numberContexts = 14

	nearMax = 64 // blocks

	contextBlock = 256
	contextNew   = contextBlock + 4*numberContexts
	contextPass  = contextNew + numberContexts
	contextsEnd  = contextPass + 3*numberContexts
)

// Kinds of things.
const (
	orderFunc = iota
	orderProto
	orderPtr
	orderStruct
	orderArray
	orderFwd
	orderConst
	orderOther
)

// orderKinds are the kinds of types.
var orderKinds = func() (k [32]byte) {
	for i := range k {
		k[i] = orderOther
	}
	k[btfFunc], k[btfFuncProto], k[btfPtr] = orderFunc, orderProto, orderPtr
	k[btfStruct], k[btfUnion], k[btfArray] = orderStruct, orderStruct, orderArray
	k[btfForward], k[btfConst] = orderFwd, orderConst
	return k
}()

// order codes an order of the numbers of things with kinds, as expected from 0 on. A reader gets it
// in list. Without kinds the next one expected is always the first one left.
func (c *orderCoder) order(kinds []byte, list []int) bool {
	if c.none {
		for i := range list {
			list[i] = i
		}
		return true
	}
	o := ordering{left: newLeft(len(list)), now: -1, fresh: -1}
	for i := range list {
		if i == 0 || kinds != nil && kinds[i-1] == orderFunc && kinds[i] > orderProto {
			o.blocks = append(o.blocks, block{i, i})
		}
	}
	o.blocks = append(o.blocks, block{len(list), len(list)})
	last, row := orderOther, 0
	for i, at := range list {
		next, context, new := -1, 0, contextBlock+numberContexts
		if o.now >= 0 {
			b, end := o.blocks[o.now], o.blocks[o.now+1].begin
			if k := o.left.before(b.at); k < o.left.before(end) {
				next = o.left.nth(k)
				kind := orderOther
				if kinds != nil {
					kind = int(kinds[next])
				}
				context = last | kind<<3 | int(parsestep.Truth(next != b.at))<<6 |
					int(parsestep.Truth(row > 2))<<7
				new = contextBlock
			}
		}
		if row++; next < 0 || !c.bit(at == next, context) {
			if last == orderFunc {
				new += 2 * numberContexts
			}
			if next = c.jump(&o, at, new); next < 0 {
				return false
			}
			row = 0
		}
		o.left.take(next)
		list[i] = next
		if kinds != nil {
			last = int(kinds[next])
			o.blocks[o.now].at = next + 1
		}
	}
	return true
}

// ordering is what is known of an order at a place.
type ordering struct {
	left   left
	blocks []block // and one at the end
	now    int     // block at hand, -1: none
	fresh  int     // the last new one
	near   []int   // blocks, the last one first
}

// block is some things that follow one another: where they begin, and what follows the last one
// taken.
type block struct{ begin, at int }

// jump codes which thing comes that is not the next one, or gives -1.
func (c *orderCoder) jump(o *ordering, at, context int) int {
	to, place := 0, -1
	near := o.near[:0]
	for _, b := range o.near {
		if o.left.within(o.blocks, b) > 0 {
			near = append(near, b)
		}
	}
	if c.Writing {
		to = sort.Search(len(o.blocks), func(i int) bool { return o.blocks[i].begin > at }) - 1
		place = slices.Index(near, to)
	}
	place = c.number(place+1, context) - 1
	kind := 0
	if count := len(o.blocks) - 1; place < 0 {
		// a new one
		d := (to - o.fresh - 1 + count) % count
		to = (o.fresh + 1 + c.number(d, contextNew)) % count
		o.fresh = to
		near = append(near[:min(len(near), nearMax-1)], 0)
		place = len(near) - 1
	} else if place >= len(near) {
		return -1
	} else {
		to = near[place]
		kind = 1 + int(parsestep.Truth(to == o.now))
	}
	copy(near[1:place+1], near[:place])
	near[0] = to
	o.near, o.now = near, to
	n, from := o.left.within(o.blocks, to), o.left.before(o.blocks[to].begin)
	if n == 0 {
		return -1
	}
	left := o.left.before(o.blocks[to].at) - from
	pass := 0
	if n > 1 {
		if c.Writing {
			pass = (o.left.before(at) - from - left + n) % n
		}
		pass = c.number(pass, contextPass+kind*numberContexts)
	}
	return o.left.nth(from + (left+pass)%n)
}

// left is the things that are left, as a binary indexed tree of their counts.
type left []int

func newLeft(n int) left {
	l := make(left, n+1)
	for i := 1; i <= n; i++ {
		l[i] = i & -i
	}
	return l
}

// before counts those before a thing.
func (l left) before(at int) (n int) {
	for ; at > 0; at &= at - 1 {
		n += l[at]
	}
	return n
}

// within counts those of a block.
func (l left) within(blocks []block, i int) int {
	return l.before(blocks[i+1].begin) - l.before(blocks[i].begin)
}

// take takes one away.
func (l left) take(at int) {
	for at++; at < len(l); at += at & -at {
		l[at]--
	}
}

// nth gives the one before which n are left.
func (l left) nth(n int) (at int) {
	for step := 1 << 30; step > 0; step >>= 1 {
		if next := at + step; next < len(l) && l[next] <= n {
			at, n = next, n-l[next]
		}
	}
	return at
}

// orderChances are the chances of a one to begin with, in 1<<8, by context.
const orderChances = "" +
	"\xc1\x92\x8b\x96\xaf\x80\xa1\x90\xf2\x08\xad\xe4\xbe\xc7\xd6\xa7" +
	"\x80\xe7\x8d\xce\xb3\xfc\xb3\xa5\x80\x7b\xa4\xd9\xbc\xe5\xb5\xb7" +
	"\x80\x5d\x9c\xeb\xe3\x80\xee\x9b\x80\x80\xe6\xea\xc7\x80\xee\xba" +
	"\x80\x09\x5e\xe4\xff\xfb\x9f\x98\x80\xd3\x74\xbd\xa0\xb5\xb2\xbd" +
	"\xb2\x20\x77\x97\xb0\x80\x86\x86\x80\x01\x5a\x79\x6c\x80\xa6\x93" +
	"\x80\x59\x2a\xaa\xa5\x38\x91\x7d\x80\x2d\x56\x81\x60\x80\x9c\x82" +
	"\x80\x38\x1a\x94\x9d\x80\x6e\x96\x80\x80\x80\x80\x80\x80\x80\x80" +
	"\x80\x04\x26\x88\xc7\x80\xb9\xae\x80\x80\x57\x88\x5f\x38\x8e\xf0" +
	"\xf9\xff\xeb\xb8\xec\x80\xe4\xc4\xfe\x8d\xff\xfd\xf8\xfe\xfe\xfe" +
	"\x80\xff\xfc\xfb\xf6\xff\xf7\xfc\x80\xfa\xf9\xfc\xf7\xf0\xf8\xfa" +
	"\x80\xee\xf8\xfe\xfd\xcb\xfa\xf1\x80\xc7\xff\xfe\xff\xf2\xfc\xfd" +
	"\x80\x68\xea\xfc\xff\xff\xed\xe9\x80\xfb\xeb\xf7\xec\xee\xf3\xfa" +
	"\xf5\x0f\xf2\xea\xe4\x80\xbe\xee\x80\x16\xf0\xfa\xf5\x80\xdd\xe5" +
	"\x80\xf9\xf1\xe0\xd7\x80\xdf\xd5\x80\xf5\xcb\xe5\xc3\x80\xeb\xe8" +
	"\x80\xb5\xcf\xde\xcf\x80\xf2\xc0\x80\x80\xe5\xc7\xc7\x80\x80\xc7" +
	"\x80\x80\xad\xf0\xc2\x80\xf8\xe5\x80\xdb\xb2\xe4\xc1\x80\xf1\xff" +
	"\xe2\xc6\x24\x4a\x63\x66\x03\x38\x80\x80\x80\x80\x80\x80\x13\x5c" +
	"\x36\x3f\x34\x38\x80\x80\x80\x80\x80\x80\x80\x80\xd1\xf5\x35\x65" +
	"\x85\x95\x03\x38\x80\x80\x80\x80\x80\x80\x94\x85\x7e\x7f\x96\x77" +
	"\x00\x80\x80\x80\x80\x80\x80\x80\x92\xcd\xd5\xc3\xb8\xca\xcc\xb0" +
	"\x56\x00\x80\x80\x80\x80\x4b\xe6\x9c\xcc\xb1\x8c\x73\x4e\x6d\x3f" +
	"\x6f\x1a\x80\x80\x70\xdd\xdf\xd3\xc1\xaa\x8c\x70\x5d\x3e\x38\x18" +
	"\x38\x80\xde\xc0\xd8\xdc\xdd\xdb\xd3\xc5\xbe\xa0\xa0\xaf\x78\x4d"
