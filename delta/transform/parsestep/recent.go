package parsestep

import (
	"encoding/binary"
	"math/bits"
)

// recent finds matches in the content before a position as the trees of encoders do: for each
// length the nearest one. It keeps two chains of the positions of a window, of those with the same
// hash of four bytes and of eight, which take 6 bytes of memory for each position of the window.
type recent struct {
	b        []byte
	done     int // positions before it are in the chains
	short    chain
	long     chain
	lasts    []Last
	heads    []heads // of lasts
	shortest int     // bytes of a match
	budget   int     // steps that searches may take
}

// Last says how an encoder finds matches of few bytes: at the last position with the same hash of
// them alone. The encoder's own hash decides, since which positions it loses decides what it finds.
type Last struct {
	Size     int                   // bytes of a match, below 4
	Bits     int                   // of a hash; there is a table of as many
	Hash     func(b []byte) uint32 // of at least 8 bytes; the highest Bits count
	Distance int                   // no match is farther away
}

// found is a match of so many bytes.
type found struct{ size, distance int }

// chain links positions with the same hash.
type chain struct {
	heads
	links  []byte // by position modulo the window: how far back the one before is, in linkSize bytes
	window int    // positions; a power of two
}

// linkSize is how many bytes a link takes, since a window has at most 1<<23 positions. A link to
// none, or to one that lies a window or farther back, where no search goes, is 0.
const linkSize = 3

// heads has the last position with a hash, by the hash's highest bits. Positions are plus one; 0 is
// none.
type heads struct {
	at    []int32
	shift int // bits of a hash that do not count
}

const (
	nearMax    = 64 // bytes whose comparison takes as long as a step
	longMin    = 8  // bytes
	stepsShort = 64
	stepsLong  = 4096
	// A search may take stepsLeast, also where those before it took more than stepsRate for each
	// byte.
	stepsLeast = 4
	stepsRate  = 8
)

// newRecent makes an index of a content. lasts are in order of their sizes; the first one's is that
// of the shortest match.
func newRecent(b []byte, s Sizes, lasts []Last) *recent {
	window := 1 << min(s.Window, bits.Len(uint(len(b))))
	r := &recent{b: b, short: newChain(s.Heads, window), long: newChain(s.Heads, window),
		lasts: lasts, shortest: lasts[0].Size}
	for _, l := range lasts {
		r.heads = append(r.heads, newHeads(l.Bits))
	}
	return r
}

func newHeads(bits int) heads { return heads{make([]int32, 1<<bits), 32 - bits} }

func newChain(bits, window int) chain {
	return chain{newHeads(bits), make([]byte, linkSize*window), window}
}

func (c *chain) link(at int) []byte { return c.links[linkSize*(at&(c.window-1)):][:linkSize] }

func (c *chain) add(h uint32, at int) {
	head := c.of(h)
	back := at + 1 - int(*head)
	if *head == 0 || back >= c.window {
		back = 0
	}
	p := c.link(at)
	p[0], p[1], p[2] = byte(back), byte(back>>8), byte(back>>16)
	*head = int32(at + 1)
}

// before gives the position before q in its chain, or a negative number.
func (c *chain) before(q int) int {
	p := c.link(q)
	back := int(p[0]) | int(p[1])<<8 | int(p[2])<<16
	if back == 0 {
		return -1
	}
	return q - back
}

func (h *heads) of(hash uint32) *int32 { return &h.at[hash>>(h.shift&31)] }

// first gives the last position with a hash, or a negative number.
func (h *heads) first(hash uint32) int { return int(*h.of(hash)) - 1 }

func hash4(b []byte) uint32 { return binary.LittleEndian.Uint32(b) * 2654435761 }

func hash8(b []byte) uint32 {
	return uint32(binary.LittleEndian.Uint64(b) * 0xCF1BBCDCB7A56463 >> 32)
}

// advance adds all positions before at. It tells whether there are bytes enough to look at at.
func (r *recent) advance(at int) bool {
	if at+longMin > len(r.b) {
		return false
	}
	r.budget += (at - r.done) * stepsRate
	for ; r.done < at; r.done++ {
		p := r.b[r.done:]
		r.short.add(hash4(p), r.done)
		r.long.add(hash8(p), r.done)
		for i := range r.heads {
			*r.heads[i].of(r.lasts[i].Hash(p)) = int32(r.done + 1)
		}
	}
	return true
}

// last gives the last position with the few bytes at at, or a negative number.
func (r *recent) last(i, at int) int {
	q := r.heads[i].first(r.lasts[i].Hash(r.b[at:]))
	if at-q > r.lasts[i].Distance {
		return -1
	}
	return q
}

// nearest gives the distance from at to the nearest match of n bytes, 0 when none is found.
func (r *recent) nearest(at, n int) int {
	if !r.advance(at) || at+n > len(r.b) {
		return 0
	}
	for i := range r.lasts {
		if n == r.lasts[i].Size {
			if q := r.last(i, at); q >= 0 && r.equal(q, at, n) {
				return at - q
			}
		}
	}
	c, q := &r.short, r.short.first(hash4(r.b[at:]))
	if n >= longMin {
		c, q = &r.long, r.long.first(hash8(r.b[at:]))
	}
	for steps := r.steps(stepsLong); steps > 0 && q >= max(at-c.window, 0); steps-- {
		r.budget -= 1 + n/nearMax
		if r.equal(q, at, n) {
			return at - q
		}
		q = c.before(q)
	}
	return 0
}

// steps gives how many steps a search may take.
func (r *recent) steps(most int) int { return min(most, max(r.budget, stepsLeast)) }

// equal tells whether n bytes from q and from at on are the same, and all within the content.
func (r *recent) equal(q, at, n int) bool {
	a, b := r.b[q:], r.b[at:]
	if n > len(b) || a[n-1] != b[n-1] {
		return false
	}
	for i := range n {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// matches appends matches for at, each longer than the one before and farther away, the last one of
// at most so many bytes. Within its few steps none is missing.
func (r *recent) matches(out []found, at, most int) []found {
	if !r.advance(at) {
		return out
	}
	best := r.shortest - 1
	try := func(q int) {
		r.budget--
		if at+best < len(r.b) && r.b[q+best] == r.b[at+best] {
			n := r.common(q, at, most)
			r.budget -= n / nearMax
			if n > best {
				best = n
				out = append(out, found{n, at - q})
			}
		}
	}
	for i := range r.lasts {
		if q := r.last(i, at); q >= 0 {
			try(q)
		}
	}
	c := &r.short
	q := c.first(hash4(r.b[at:]))
	for steps := r.steps(stepsShort); steps > 0 && q >= max(at-c.window, 0); steps-- {
		if try(q); best == most {
			break
		}
		q = c.before(q)
	}
	return out
}

// common gives how many bytes from q and from at on are the same, at most so many.
func (r *recent) common(q, at, most int) int {
	n := 0
	for most = min(most, len(r.b)-at); n < most && r.b[q+n] == r.b[at+n]; n++ {
	}
	return n
}
