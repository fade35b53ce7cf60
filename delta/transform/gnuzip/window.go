package gnuzip

import (
	"encoding/binary"
	"io"
	"math/bits"
)

const (
	windowSize = 1 << 15
	bufferSize = 2 * windowSize
	minMatch   = 3
	maxMatch   = 258
	// minLookahead is how many bytes must lie ahead, except at the end, before a match is searched.
	minLookahead = maxMatch + minMatch + 1
	maxDistance  = windowSize - minLookahead
	// tooFar is the distance beyond which a match of three bytes costs more than three literals.
	tooFar = 4096

	hashBits  = 15
	hashMask  = 1<<hashBits - 1
	hashShift = (hashBits + minMatch - 1) / minMatch
)

// encoder is the state of one stream. It keeps the window, positions in it and the hash chains
// exactly as the original programs do, because their limits show in the output: they never match
// position 0, and GNU gzip compares beyond the end of input.
type encoder struct {
	state

	// the bytes behind bufferSize stay zero, as room for comparisons
	window [bufferSize + maxMatch]byte
	head   [1 << hashBits]uint16 // latest position with a hash; 0: none
	prev   [windowSize]uint16    // position before a position, with the same hash
	block  trees
}

// state is all of an encoder but its tables.
type state struct {
	family       Family
	level        int
	search       search
	blockSymbols int // symbols after which a block ends

	src     io.Reader // input that is not yet in the window
	readErr error     // of src, its end too

	hash       uint32
	pos        int // position in the window of the next byte to code
	ahead      int // bytes in the window from pos on
	blockStart int // negative once it has slid out of the window
	ended      bool

	matchStart int
	prevLength int // length that the next match must exceed

	symbols []symbol
	matches int // number of matches among symbols
	out     bitWriter
}

// start fills the window for the first time.
func (e *encoder) start() {
	e.fill()
	for e.ahead < minLookahead && !e.ended {
		e.fill()
	}
	e.roll(e.window[0])
	e.roll(e.window[1])
}

// fill slides the window when it is nearly used up, and copies input into the free room.
func (e *encoder) fill() {
	if e.pos >= windowSize+maxDistance {
		copy(e.window[:windowSize], e.window[windowSize:bufferSize])
		e.matchStart -= windowSize
		e.pos -= windowSize
		e.blockStart -= windowSize
		slide(e.head[:])
		slide(e.prev[:])
	}
	end := e.pos + e.ahead
	n := e.read(e.window[end:bufferSize])
	e.ahead += n
	if n == 0 {
		e.ended = true
		clear(e.window[end : end+minMatch-1])
	}
}

// read fills p, unless the input ends before, and gives how many bytes it has read.
func (e *encoder) read(p []byte) (n int) {
	for n < len(p) && e.readErr == nil {
		var m int
		m, e.readErr = e.src.Read(p[n:])
		n += m
	}
	return n
}

func slide(positions []uint16) {
	for i, p := range positions {
		if p >= windowSize {
			positions[i] = p - windowSize
		} else {
			positions[i] = 0
		}
	}
}

func (e *encoder) refill() {
	for e.ahead < minLookahead && !e.ended {
		e.fill()
	}
}

func (e *encoder) roll(c byte) {
	e.hash = (e.hash<<hashShift ^ uint32(c)) & hashMask
}

// insert enters the three bytes at a position into the hash chains. It gives the latest earlier
// position with the same hash.
func (e *encoder) insert(at int) int {
	e.roll(e.window[at+minMatch-1])
	h := e.head[e.hash]
	e.prev[at&(windowSize-1)] = h
	e.head[e.hash] = uint16(at)
	return int(h)
}

// insertable tells whether a position is entered into the hash chains: zlib demands three bytes
// there, GNU gzip does not.
func (e *encoder) insertable(ahead int) bool {
	return e.family == GNU || ahead >= minMatch
}

// reachable tells whether the encoder may search a match from the head of a chain.
func (e *encoder) reachable(head int) bool {
	return head != 0 && e.pos-head <= maxDistance &&
		(e.family == Zlib || e.pos <= bufferSize-minLookahead)
}

// longest follows the chain from position at. It looks for the longest match with the bytes at pos
// that exceeds prevLength. It sets matchStart to that match's position and returns its length, or
// returns prevLength when there is none.
func (e *encoder) longest(at int) int {
	chain, nice, best := e.search.chain, e.search.nice, e.prevLength
	if e.prevLength >= e.search.good {
		chain >>= 2
	}
	if e.family == Zlib {
		nice = min(nice, e.ahead)
	}
	limit := max(e.pos-maxDistance, 0)
	scan := (*[maxMatch]byte)(e.window[e.pos:])
	start := binary.LittleEndian.Uint16(scan[:])
	end := binary.LittleEndian.Uint16(scan[best-1:])
	for {
		// A longer match has the same two bytes at its start and at the end of the best one so far.
		if binary.LittleEndian.Uint16(e.window[at+best-1:]) == end &&
			binary.LittleEndian.Uint16(e.window[at:]) == start {
			if n := common(scan, (*[maxMatch]byte)(e.window[at:])); n > best {
				e.matchStart, best = at, n
				if n >= nice {
					break
				}
				end = binary.LittleEndian.Uint16(scan[best-1:])
			}
		}
		at = int(e.prev[at&(windowSize-1)])
		chain--
		if at <= limit || chain == 0 {
			break
		}
	}
	return min(best, e.ahead)
}

// common gives how many bytes a and b have in common at their beginnings.
func common(a, b *[maxMatch]byte) int {
	n := 0
	for ; n+8 <= maxMatch; n += 8 {
		if x := binary.LittleEndian.Uint64(a[n:]) ^ binary.LittleEndian.Uint64(b[n:]); x != 0 {
			return n + bits.TrailingZeros64(x)/8
		}
	}
	for n < maxMatch && a[n] == b[n] {
		n++
	}
	return n
}

// greedy codes all of the input and takes every match that it finds: levels 1 to 3.
func (e *encoder) greedy() {
	e.prevLength = minMatch - 1
	length := 0
	for e.ahead > 0 && e.out.err == nil {
		head := 0
		if e.insertable(e.ahead) {
			head = e.insert(e.pos)
		}
		if e.reachable(head) {
			length = e.longest(head)
		}
		var full bool
		if length >= minMatch {
			full = e.match(e.pos-e.matchStart, length, e.pos)
			e.ahead -= length
			if length <= e.search.lazy && e.insertable(e.ahead) {
				for range length - 1 {
					e.pos++
					e.insert(e.pos)
				}
				e.pos++
			} else {
				e.pos += length
				e.hash = uint32(e.window[e.pos])
				e.roll(e.window[e.pos+1])
			}
			length = 0
		} else {
			full = e.literal(e.window[e.pos], e.pos)
			e.ahead--
			e.pos++
		}
		if full {
			e.endBlock(false)
		}
		e.refill()
	}
}

// lazy codes all of the input and takes a match only when the next byte does not begin a longer
// one: levels 4 to 9.
func (e *encoder) lazy() {
	length, waiting := minMatch-1, false
	for e.ahead > 0 && e.out.err == nil {
		head := 0
		if e.insertable(e.ahead) {
			head = e.insert(e.pos)
		}
		prevStart := e.matchStart
		e.prevLength = length
		length = minMatch - 1
		if e.prevLength < e.search.lazy && e.reachable(head) {
			length = e.longest(head)
			if length == minMatch && e.pos-e.matchStart > tooFar {
				length--
			}
		}
		switch {
		case e.prevLength >= minMatch && length <= e.prevLength:
			e.takePrevious(prevStart)
			length, waiting = minMatch-1, false
		case waiting:
			if e.literal(e.window[e.pos-1], e.pos) {
				e.endBlock(false)
			}
			e.pos++
			e.ahead--
		default:
			waiting = true
			e.pos++
			e.ahead--
		}
		e.refill()
	}
	if waiting {
		e.literal(e.window[e.pos-1], e.pos)
	}
}

// takePrevious codes the match that begins one byte before pos.
func (e *encoder) takePrevious(start int) {
	last := e.pos + e.ahead - minMatch // the last position with three bytes
	full := e.match(e.pos-1-start, e.prevLength, e.pos)
	e.ahead -= e.prevLength - 1
	for range e.prevLength - 2 {
		e.pos++
		if e.family == GNU || e.pos <= last {
			e.insert(e.pos)
		}
	}
	e.pos++
	if full {
		e.endBlock(false)
	}
}
