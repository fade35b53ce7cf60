package lzmaparse

import (
	"hash/crc32"

	"deltaup/delta/transform/parsestep"
)

// streamNumbers is a step's one stream beside those of matches.
const (
	streamNumbers = parsestep.Streams + iota
	streams
)

// traits is LZMA with the match finder of liblzma.
var traits = parsestep.Traits{
	Streams: streams, Contexts: 8, Latest: repeatCount, Again: true,
	Shortest: 1, Short: matchMin, Longest: matchMax, Told: matchMax, Near: matchMax,
	Lasts: []parsestep.Last{
		{Size: 2, Bits: 10, Distance: contentMax, Hash: func(b []byte) uint32 {
			return (crc32.IEEETable[b[0]] ^ uint32(b[1])) << 22
		}},
		{Size: 3, Bits: 16, Distance: contentMax, Hash: func(b []byte) uint32 {
			return (crc32.IEEETable[b[0]] ^ uint32(b[1]) ^ uint32(b[2])<<8) << 16
		}},
	},
}

// model codes the symbols of a content.
type model struct {
	*parsestep.Model
	size int // bytes of the content
	end  int // of the last match
}

// symbol codes the symbol at at. It is false when there is no such one.
func (m *model) symbol(s symbol, at int, last *repeats) (_ symbol, ok bool) {
	var latest parsestep.Latest
	for i, d := range last {
		latest[i] = d + 1
	}
	m.Look(at, at-m.end, latest)
	if !m.Begins(s.length > 0) {
		return symbol{}, true
	}
	n := m.Length(s.length, m.size)
	if n < 1 || n > min(matchMax, m.size-at) {
		return s, false
	}
	if s.length = n; n == 1 {
		s.back = 0
	} else {
		want := s.back - repeatCount + 1
		if s.back < repeatCount {
			want = latest[s.back]
		}
		d := m.Source(n, want)
		if d == 0 || d > uint32(at) {
			return s, false
		}
		s.back = m.back(s.back, d)
	}
	m.Note(n)
	m.end = at + n
	return s, !m.Overread()
}

// back codes how a distance is coded: encoders mostly take one of the latest where it is one.
func (m *model) back(back, distance uint32) uint32 {
	other := distance - 1 + repeatCount
	i, ok := m.Again(distance)
	if !ok {
		return other
	}
	if !m.Unusual(back != uint32(i)) {
		return uint32(i)
	}
	if back = m.Number(min(back, repeatCount), streamNumbers, 15); back >= repeatCount {
		return other
	}
	return back
}
