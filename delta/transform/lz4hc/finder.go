package lz4hc

import (
	"encoding/binary"
	"math/bits"
)

const (
	hashBits = 15
	// origin is added to positions in the table of heads, so that 0 is out of reach of all.
	origin = 1 << 16
)

// match says that the bytes from start on are also those from from on.
type match struct{ start, from, length int }

func (m match) end() int { return m.start + m.length }

// skip gives the match without its first n bytes.
func (m match) skip(n int) match { return match{m.start + n, m.from + n, m.length - n} }

// finder finds matches in a block.
type finder struct {
	search
	src   []byte
	limit int // where matches end at the latest
	next  int // the first position that is in no chain

	head  [1 << hashBits]uint32 // origin plus the last position with a hash; 0: none
	chain [1 << 16]uint16       // by a position's low bits: how far the one before with its hash is
}

// reset begins a block.
func (f *finder) reset(src []byte) {
	f.src, f.limit, f.next = src, len(src)-lastLiterals, 0
	clear(f.head[:])
}

func load16(b []byte, at int) uint16 { return binary.LittleEndian.Uint16(b[at:]) }
func load32(b []byte, at int) uint32 { return binary.LittleEndian.Uint32(b[at:]) }
func load64(b []byte, at int) uint64 { return binary.LittleEndian.Uint64(b[at:]) }

func hash(first uint32) uint32 { return first * 2654435761 >> (32 - hashBits) }

// insert enters all positions before at into the chains.
func (f *finder) insert(at int) {
	for i := f.next; i < at; i++ {
		h := hash(load32(f.src, i))
		position := uint32(i + origin)
		f.chain[uint16(i)] = uint16(min(position-f.head[h], maxDistance))
		f.head[h] = position
	}
	f.next = at
}

// longer looks for a match of the bytes at position at which is longer than longest. Without one
// its length is 0.
func (f *finder) longer(at, longest int) match { return f.wider(at, at, longest) }

// wider looks for a match that contains position at, begins at low or behind it and is longer than
// longest. Without one its length is 0.
func (f *finder) wider(at, low, longest int) (best match) {
	f.insert(at)
	src, first := f.src, load32(f.src, at)
	lowest := max(0, at-maxDistance)
	run := 0  // length of the run of one byte at at; 0: not yet known, below 0: there is none
	link := 0 // the byte of a candidate whose chain is followed
	// A longer match has the two bytes at the end of the best one so far.
	last := low + longest - 1
	end := load16(src, last)
	candidate := int(f.head[hash(first)]) - origin
	for n := f.attempts; n > 0 && candidate >= lowest; n-- {
		length := 0
		if load16(src, last-at+candidate) == end && load32(src, candidate) == first {
			before := f.commonBefore(at, candidate, low)
			length = before + minMatch + f.common(at+minMatch, candidate+minMatch)
			if length > longest {
				best = match{at - before, candidate - before, length}
				longest, last = length, low+length-1
				end = load16(src, last)
			}
		}
		if f.enough > 0 && length == longest && candidate+longest <= at {
			if l, distance := f.rarest(candidate, longest); distance > 1 {
				link, candidate = l, candidate-distance
				continue
			}
		}
		if f.patterns && link == 0 && f.chain[uint16(candidate)] == 1 {
			if run == 0 {
				run = f.runOf(first, at)
			}
			if from := candidate - 1; run > 0 && from >= lowest && load32(src, from) == first {
				next, matched := f.stepOver(from, lowest, run)
				candidate = next
				if matched == 0 || low < at {
					continue
				}
				if matched > longest {
					best = match{at, candidate, matched}
					longest, last = matched, low+matched-1
					end = load16(src, last)
				}
				candidate -= int(f.chain[uint16(candidate)])
				continue
			}
		}
		candidate -= int(f.chain[uint16(candidate+link)])
	}
	return best
}

// rarest looks among the first bytes of a match for the one whose chain leads farthest back. It
// gives the byte's place in the match, and the distance; a distance of 1 is none.
func (f *finder) rarest(from, length int) (link, distance int) {
	const patience = 16 // places after which steps become longer
	distance = 1
	step, places := 1, patience
	for i := 0; i <= length-minMatch; i += step {
		d := int(f.chain[uint16(from+i)])
		step = places / patience
		places++
		if d > distance {
			link, distance, places = i, d, patience
		}
	}
	return link, distance
}

// stepOver finds the run of one byte around from, while one of length run is searched. It gives the
// candidate to look at next: where the bytes up to the run's end are as long as the run searched;
// then matched is 0. Or it gives the run's beginning and how much of the run searched it matches.
func (f *finder) stepOver(from, lowest, run int) (candidate, matched int) {
	c := f.src[from]
	// Longer than run is all that counts of it.
	after := f.runAfter(from, min(f.limit, from+run+1), c)
	before := f.runBefore(from, lowest, c)
	if before+after >= run && after <= run {
		return from + after - run, 0
	}
	return from - before, min(before+after, run)
}

// runOf gives the length of the run of one byte that begins with first; below 0 is none.
func (f *finder) runOf(first uint32, at int) int {
	if first != bits.RotateLeft32(first, 8) {
		return -1
	}
	return f.runAfter(at, f.limit, f.src[at])
}

// runAfter counts the bytes c from from on, up to limit.
func (f *finder) runAfter(from, limit int, c byte) int {
	src := f.src[from:limit]
	n := 0
	for all := uint64(c) * 0x0101010101010101; n+8 <= len(src); n += 8 {
		if x := load64(src, n) ^ all; x != 0 {
			return n + bits.TrailingZeros64(x)/8
		}
	}
	for n < len(src) && src[n] == c {
		n++
	}
	return n
}

// runBefore counts the bytes c before from, down to lowest.
func (f *finder) runBefore(from, lowest int, c byte) int {
	src := f.src[lowest:from]
	n := len(src)
	for all := uint64(c) * 0x0101010101010101; n >= 8; n -= 8 {
		if x := load64(src, n-8) ^ all; x != 0 {
			return len(src) - n + bits.LeadingZeros64(x)/8
		}
	}
	for n > 0 && src[n-1] == c {
		n--
	}
	return len(src) - n
}

// common counts the bytes from a on that are also those from b on, which is before a.
func (f *finder) common(a, b int) int {
	x := f.src[a:f.limit]
	y := f.src[b:][:len(x)]
	n := 0
	for ; n+8 <= len(x); n += 8 {
		if d := load64(x, n) ^ load64(y, n); d != 0 {
			return n + bits.TrailingZeros64(d)/8
		}
	}
	for n < len(x) && x[n] == y[n] {
		n++
	}
	return n
}

// commonBefore counts the bytes before a that are also those before b, down to low in a.
func (f *finder) commonBefore(a, b, low int) int {
	most := min(a-low, b)
	x, y := f.src[a-most:a], f.src[b-most:b]
	n := most
	for ; n >= 8; n -= 8 {
		if d := load64(x, n-8) ^ load64(y, n-8); d != 0 {
			return most - n + bits.LeadingZeros64(d)/8
		}
	}
	for n > 0 && n <= len(y) && x[n-1] == y[n-1] {
		n--
	}
	return most - n
}
