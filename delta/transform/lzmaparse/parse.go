package lzmaparse

import (
	"encoding/binary"
	"sort"
)

// Parse is the matches of a file. It is for one goroutine.
type Parse struct {
	parts []part
	arena []byte // of the last parts: bytes of it are theirs
	size  int    // bytes of all arenas
	count int
	end   int // of the last match
	last  repeats
	kept  [keptParts]keptPart
	now   int // of kept: the one used last
}

// part is partMatches matches, or fewer of the last one. Each is coded in a byte with as much as
// fits of the literals before it (2 bits), its distance (3 bits: one of the latest, or the number of
// bytes it takes) and its length (3 bits), and then the rest of these.
type part struct {
	b    []byte
	end  int32 // of the match before
	last repeats
}

// keptPart is the matches of a part. The first has a number.
type keptPart struct {
	first   int
	matches []match
}

const (
	keptParts   = 4
	partMatches = 256
	matchBytes  = 1 + 5 + 4 + 2 // at most
	arenaSize   = 256 << 10

	literalsMore = 3 // a number follows
	lengthMore   = 7
)

// match is where a match begins in the content, its distance, which of the latest ones that was, or
// repeatCount, and its length.
type match uint64

const (
	placeBits = 26 // of a place and of a distance
	sizeBits  = 9
	backBits  = 3
)

func (m match) begin() int    { return int(m >> (64 - placeBits)) }
func (m match) distance() int { return int(m>>(sizeBits+backBits)&(1<<placeBits-1)) + 1 }
func (m match) back() int     { return int(m >> sizeBits & (1<<backBits - 1)) }
func (m match) end() int      { return m.begin() + int(m&(1<<sizeBits-1)) }

// newMatch makes one, of a distance less one.
func newMatch(begin int, d, back uint32, length int) match {
	return match(begin)<<(64-placeBits) | match(d)<<(sizeBits+backBits) |
		match(min(back, repeatCount))<<sizeBits | match(length)
}

// add adds a match that begins at at, of distance d less one. It is false when the parse gets too
// long.
func (p *Parse) add(at int, d uint32, s symbol) bool {
	if p.count%partMatches == 0 {
		if cap(p.arena)-len(p.arena) < partMatches*matchBytes {
			if p.size+arenaSize > ParseMax {
				return false
			}
			p.arena = make([]byte, 0, arenaSize)
			p.size += arenaSize
		}
		p.parts = append(p.parts, part{b: p.arena[len(p.arena):], end: int32(p.end), last: p.last})
	}
	literals := at - p.end
	kind := s.back
	if kind < repeatCount && p.last[kind] != d {
		kind = d + repeatCount // the encoder has forgotten the latest distances since
	}
	p.last.take(kind)
	if kind >= repeatCount {
		kind = repeatCount + 3
		for kind > repeatCount && d < 1<<(8*(kind-repeatCount)) {
			kind--
		}
	}
	x := &p.parts[len(p.parts)-1]
	start := len(p.arena)
	b := append(p.arena, byte(min(literals, literalsMore))|byte(kind)<<2|
		byte(min(s.length-1, lengthMore))<<5)
	if literals >= literalsMore {
		b = binary.AppendUvarint(b, uint64(literals-literalsMore))
	}
	for n := int(kind) - repeatCount; n >= 0; n-- {
		b = append(b, byte(d))
		d >>= 8
	}
	if s.length-1 >= lengthMore {
		b = binary.AppendUvarint(b, uint64(s.length-1-lengthMore))
	}
	x.b = x.b[:len(x.b)+len(b)-start]
	p.arena = b
	p.end = at + s.length
	p.count++
	return true
}

// read gives the matches of a part again.
func (x *part) read(list []match) []match {
	at, last, b := int(x.end), x.last, x.b
	number := func() int {
		v, n := binary.Uvarint(b)
		b = b[n:]
		return int(v)
	}
	for len(b) > 0 {
		literals, kind, length := int(b[0]&3), uint32(b[0]>>2&7), int(b[0]>>5)+1
		b = b[1:]
		if literals == literalsMore {
			literals += number()
		}
		if kind >= repeatCount {
			n := kind - repeatCount + 1
			d := uint32(0)
			for i := range n {
				d |= uint32(b[i]) << (8 * i)
			}
			b = b[n:]
			kind = d + repeatCount
		}
		if length == lengthMore+1 {
			length += number()
		}
		at += literals
		list = append(list, newMatch(at, last.take(kind), kind, length))
		at += length
	}
	return list
}

// match gives a match by its number.
func (p *Parse) match(i int) match {
	k := &p.kept[p.now]
	if n := i - k.first; uint(n) < uint(len(k.matches)) {
		return k.matches[n]
	}
	return p.other(i)
}

// other is match for a part that is not the one used last.
func (p *Parse) other(i int) match {
	for now := range p.kept {
		k := &p.kept[now]
		if n := i - k.first; uint(n) < uint(len(k.matches)) {
			p.now = now
			return k.matches[n]
		}
	}
	p.now = (p.now + 1) % keptParts
	k := &p.kept[p.now]
	k.first = i - i%partMatches
	k.matches = p.parts[i/partMatches].read(k.matches[:0])
	return k.matches[i-k.first]
}

// find gives the first match that ends behind at; hint is near it. p.count is none.
func (p *Parse) find(at, hint int) int {
	if hint < p.count && (hint == 0 || p.match(hint-1).end() <= at) {
		for i := hint; i < min(hint+8, p.count); i++ {
			if p.match(i).end() > at {
				return i
			}
		}
	}
	x := sort.Search(len(p.parts), func(i int) bool { return int(p.parts[i].end) > at }) - 1
	if x < 0 {
		return 0
	}
	low, high := x*partMatches, min((x+1)*partMatches, p.count)
	for low < high {
		if middle := (low + high) / 2; p.match(middle).end() > at {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return low
}
