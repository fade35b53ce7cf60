package zstdparse

import (
	"encoding/binary"

	"deltaup/delta/transform/parsestep"
)

// A step's streams beside those of matches.
const (
	streamBlock = parsestep.Streams + iota
	streamNumbers
	streamBytes
	streams
)

// tripleMax is how far away the zstd library looks for matches of three bytes.
const tripleMax = 1 << 18

// traits is zstd with the match finder of its library. There is a table of so many bits for the last
// positions of three bytes.
func traits(tripleBits int) parsestep.Traits {
	return parsestep.Traits{
		Streams: streams, Contexts: 6, Latest: repeatCount,
		Shortest: matchMin, Short: matchMin, Longest: blockMax, Told: 1024, Near: 64,
		Lasts: []parsestep.Last{{Size: 3, Bits: tripleBits, Distance: tripleMax,
			Hash: func(b []byte) uint32 {
				return (binary.LittleEndian.Uint32(b) << 8) * 506832829
			}}},
	}
}

// model codes the sequences of blocks.
type model struct {
	*parsestep.Model
	size int // bytes of the content
	last repeats
}

// sequences codes those of a block whose content begins at from. It is false when they are none of
// such a block.
func (m *model) sequences(b *block, from int) bool {
	given := b.sequences
	if !m.Writing {
		b.sequences = b.sequences[:0]
	}
	literals := 0
	for at, end := from, from+b.size; at < end; {
		m.Look(at, literals, m.last.choices(literals))
		var s sequence
		if m.Writing && len(given) > 0 {
			s = given[0]
		}
		if !m.Begins(s.match > 0 && int(s.literals) == literals) {
			at++
			literals++
			continue
		}
		s.literals = uint32(literals)
		if !m.match(&s, at, end) {
			return false
		}
		if !m.Writing {
			b.sequences = append(b.sequences, s)
		} else {
			given = given[1:]
		}
		at += int(s.match)
		literals = 0
	}
	return true
}

// match codes the match of a sequence, which begins at at and ends at end at the latest.
func (m *model) match(s *sequence, at, end int) bool {
	literals := int(s.literals)
	again := m.last
	want, _ := again.take(s.offset, literals)
	n := m.Length(int(s.match), end)
	if n > end-at || n < matchMin {
		return false
	}
	d := m.Source(n, want)
	if d == 0 || d > uint32(at) {
		return false
	}
	s.match, s.offset = uint32(n), m.offset(s.offset, d)
	if got, ok := m.last.take(s.offset, literals); !ok || got != d {
		return false
	}
	m.Note(n)
	return !m.Overread()
}

// offset codes how a distance is coded: encoders take a repeat where there is one.
func (m *model) offset(offset, distance uint32) uint32 {
	usual := distance + repeatCount
	if i, ok := m.Again(distance); ok {
		usual = uint32(i + 1)
	}
	if m.Unusual(usual != offset) {
		return m.Number(offset, parsestep.StreamDistance, 16)
	}
	return usual
}
