package lzmaparse

import (
	"encoding/binary"

	"deltaup/delta/transform/parsestep"
)

// Parse is the matches of a file. It is for one goroutine.
type Parse struct {
	parts []part
	arena []byte // of the last parts: bytes of it are theirs
	size  int    // bytes of all arenas
	count int    // of matches
	end   int    // of the last one
	last  repeats
}

// part is partMatches matches, or fewer of the last one. Each is coded in a byte with as much as
// fits of the literals before it (2 bits), its distance (3 bits: one of the latest, or the number of
// bytes it takes) and its length (3 bits), and then the rest of these.
type part struct {
	b    []byte
	end  int32 // of the match before
	last repeats
}

const (
	partMatches = 256
	matchBytes  = 1 + 5 + 4 + 2 // at most
	arenaSize   = 256 << 10

	literalsMore = 3 // a number follows
	lengthMore   = 7
)

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

// matches gives the matches for a model.
func (p *Parse) matches() *parsestep.Matches {
	m := parsestep.NewMatches(p.read)
	for i, x := range p.parts {
		m.AddPart(int(x.end), min(partMatches, p.count-i*partMatches))
	}
	return m
}

// read gives the matches of a part again.
func (p *Parse) read(part int, list []parsestep.Match) ([]parsestep.Match, error) {
	x := &p.parts[part]
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
		list = append(list, parsestep.Match{
			Begin: int32(at), Distance: int32(last.take(kind)) + 1, Size: uint16(length),
			Again: uint8(min(kind, repeatCount)),
		})
		at += length
	}
	return list, nil
}
