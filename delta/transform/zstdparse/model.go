package zstdparse

import (
	"math/bits"

	"deltaup/delta/transform/parsestep"
)

// The streams of a step.
const (
	streamStart    = iota // does a match begin here?
	streamAsOld           // does it end where the old one does?
	streamEnds            // does it end here?
	streamLength          // its length, when it ends nowhere notable
	streamSource          // is this its source?
	streamDistance        // its distance, when its source is none of those
	streamBlock
	streamNumbers
	streamBytes
	streams
)

const inputs = 6 // contexts of a bit

const (
	nearMax = 64   // bytes that are compared to see how good a match would be
	tellMax = 1024 // length of a match that the lengths of others tell
	eachMax = 32   // bytes of a match each of which may be its end
)

// model codes the sequences of blocks.
type model struct {
	*parsestep.Coder
	content []byte
	old     *parse
	places  *parsestep.Alignment
	index   *parsestep.Recent
	last    repeats
	history uint32 // a bit for each of the last matches: it was not as the old one
	length  int    // of the last match
	hint    int
	found   []parsestep.Found // matches for the position
}

// view is what is known of a position before it is coded whether a match begins there.
type view struct {
	at, literals int
	copy         parsestep.Run // of size 0: no place in the old content
	match        int           // of the old parse: the first that ends behind it
	kind         uint32
	left         int // bytes of the old match
	distance     int // of its source, 0: it has no place here
	fits         int // bytes that this source gives right
	repeats      [3]uint32
	same         [3]int // bytes that the repeats give right
	base         uint32 // a context
}

// What lies at the place of a position in the old content.
const (
	kindNone = iota
	kindLiteral
	kindBegin
	kindWithin
)

// look gives what is known of a position behind so many literals.
func (m *model) look(at, literals int) (v view) {
	v = view{at: at, literals: literals, repeats: m.last.choices(literals)}
	since, valid := 0, uint32(0)
	if c, ok := m.places.Old(at); ok {
		v.copy = c
		since, valid = m.lookOld(&v, at-c.New+c.Old)
	}
	for i, d := range v.repeats {
		if d > 0 && d <= uint32(at) {
			v.same[i] = m.index.Common(at-int(d), at, nearMax)
		}
	}
	v.base = v.kind | uint32(min(since, 7))<<2 | uint32(min(v.left, 15))<<5 | valid<<validShift
	return v
}

// lookOld looks at place q of the old content. It gives how many bytes before q the old match
// begins, and how good its source would be here.
func (m *model) lookOld(v *view, q int) (since int, valid uint32) {
	v.kind, v.match = kindLiteral, m.old.find(q, m.hint)
	if m.hint = v.match; v.match == m.old.count {
		return 0, 0
	}
	old := m.old.match(v.match)
	if since = q - old.begin(); since < 0 {
		v.left = min(-since, 15) // bytes to the next match
		return 0, 0
	}
	v.left, v.kind = old.end()-q, kindBegin
	if since > 0 {
		v.kind = kindWithin
	}
	s, ok := m.places.New(q-old.distance(), v.copy)
	if !ok || s >= v.at {
		return since, 0
	}
	v.distance, v.fits = v.at-s, m.index.Common(s, v.at, nearMax)
	switch {
	case v.fits == v.left:
		return since, 3
	case v.fits >= min(v.left, nearMax):
		return since, 2
	}
	return since, 1
}

const validShift = 9

// valid tells how good a source of the old match would be: 0 for none, 1 to 3.
func (v *view) valid() uint32 { return v.base >> validShift & 3 }

// set gives a set of weights.
func (v *view) set(history uint32) int { return int(v.kind | v.valid()<<2 | history&1<<4) }

// bytesAt gives the n bytes from at on, which may lie outside.
func (m *model) bytesAt(at, n int) (v uint32) {
	for i := range n {
		if v <<= 8; at+i >= 0 && at+i < len(m.content) {
			v |= uint32(m.content[at+i])
		}
	}
	return v
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
		v := m.look(at, literals)
		var s sequence
		if m.Writing && len(given) > 0 {
			s = given[0]
		}
		if !m.begins(&v, s.match > 0 && int(s.literals) == literals) {
			at++
			literals++
			continue
		}
		s.literals = uint32(literals)
		wanted := m.last
		d, _ := wanted.take(s.offset, literals)
		n, asOld := m.matchLength(&v, int(s.match), end)
		if n > end-at || n < matchMin {
			return false
		}
		known := false
		if d, known = m.source(&v, n, d); d == 0 || d > uint32(at) {
			return false
		}
		if s.match = uint32(n); !m.offset(&v, &s, d) {
			return false
		}
		if !m.Writing {
			b.sequences = append(b.sequences, s)
		} else {
			given = given[1:]
		}
		m.history = m.history<<1 | 1 - parsestep.Truth(asOld && known)
		m.length = n
		at += n
		literals = 0
		if m.Overread() {
			return false
		}
	}
	return true
}

// begins codes whether a match begins.
func (m *model) begins(v *view, begins bool) bool {
	best := max(v.same[0], v.same[1], v.same[2])
	return m.Bit(begins, streamStart, v.set(m.history), &parsestep.Contexts{
		v.base | m.history&7<<12,
		v.base | parsestep.Bucket(v.literals)<<12 | parsestep.Bucket(v.same[0])<<16,
		v.kind | parsestep.Bucket(v.literals)<<2 | parsestep.Bucket(best)<<6 | parsestep.Bucket(m.length)<<10 | 1<<30,
		v.kind | m.bytesAt(v.at-1, 2)<<2 | uint32(min(v.literals, 3))<<18,
		v.base | m.history&255<<12,
		(m.bytesAt(v.at, 4) ^ v.kind<<30) * 2654435761,
	})
}

// matchLength codes the length of a match, and tells whether it ends where the old one does.
func (m *model) matchLength(v *view, want, end int) (n int, asOld bool) {
	old := 0
	m.found = m.found[:0]
	if v.kind >= kindBegin && v.left >= matchMin && v.left <= end-v.at {
		if old = v.left; m.endsAsOld(v, want == old) {
			return old, true
		}
	}
	most := min(tellMax, end-v.at)
	m.found = m.index.Matches(m.found, v.at, most)
	known := max(v.same[0], v.same[1], v.same[2], v.fits)
	if len(m.found) > 0 {
		known = max(known, m.found[len(m.found)-1].Size)
	}
	known = min(known, most)
	passed, next, found := 0, v.match, m.found
	for n := matchMin; n <= known; n++ {
		for len(found) > 0 && found[0].Size < n {
			found = found[1:]
		}
		note, longer := v.notable(n, found), len(found)
		if n == old || n > eachMax && note == 0 {
			continue
		}
		border := m.border(v, n, &next)
		c, set := note|border<<5, note|parsestep.Truth(border == 1 || border == 2)<<5
		if m.Bit(want == n, streamEnds, int(set), &parsestep.Contexts{
			c | parsestep.Bucket(n)<<8 | parsestep.Bucket(known)<<12,
			note | parsestep.Bucket(known-n)<<5 | parsestep.Bucket(n)<<9 | uint32(min(passed, 3))<<13 | 1<<30,
			c | uint32(min(longer, 7))<<8 | m.history&3<<11 | v.kind<<13 | 1<<29,
			c | m.bytesAt(v.at+n-1, 2)<<8,
			c | parsestep.Bucket(v.literals)<<8 | parsestep.Bucket(known)<<12 | 1<<28,
			(m.bytesAt(v.at+n-2, 4) ^ note<<2) * 2654435761,
		}) {
			return n, false
		}
		if note != 0 {
			passed++
		}
	}
	return int(m.Number(uint32(want-matchMin)&(1<<31-1), streamLength, 0)) + matchMin, false
}

// endsAsOld codes whether a match ends where the old one does.
func (m *model) endsAsOld(v *view, ends bool) bool {
	best, n := max(v.same[0], v.same[1], v.same[2]), v.left
	fits := parsestep.Truth(n == v.same[0])<<1 | parsestep.Truth(n == v.same[1])<<2 | parsestep.Truth(n == v.fits)<<3
	return m.Bit(ends, streamAsOld, v.set(m.history), &parsestep.Contexts{
		v.base | m.history&7<<12,
		v.base | parsestep.Bucket(best)<<12,
		fits | v.kind<<4 | parsestep.Bucket(n)<<6 | m.history&15<<10,
		v.kind | parsestep.Bucket(n)<<2 | m.history&3<<10 | 1<<29,
		v.kind | m.bytesAt(v.at+n-1, 2)<<2 | 1<<28,
		(m.bytesAt(v.at, 4) ^ uint32(n)<<3) * 2654435761,
	})
}

// notable tells, as a context, which sources give just n bytes right. found has the matches that
// are not shorter.
func (v *view) notable(n int, found []parsestep.Found) (note uint32) {
	if len(found) > 0 && found[0].Size == n {
		note = 1 | parsestep.Truth(len(found) == 1)<<1
	}
	note |= parsestep.Truth(v.same[0] == n) << 2
	note |= parsestep.Truth(v.same[1] == n || v.same[2] == n) << 3
	return note | parsestep.Truth(v.fits == n)<<4
}

// border tells what the old parse has n bytes behind the place of v: 1 and 2 for the beginning and
// the end of a match. next is of the old parse, and moves on.
func (m *model) border(v *view, n int, next *int) uint32 {
	d := v.at - v.copy.New + n
	if v.copy.Size == 0 || d > v.copy.Size {
		return 4
	}
	q := v.copy.Old + d
	for *next < m.old.count && m.old.match(*next).end() <= q {
		*next++
	}
	begin := contentMax
	if *next < m.old.count {
		begin = m.old.match(*next).begin()
	}
	switch {
	case begin == q:
		return 1
	case *next > 0 && m.old.match(*next-1).end() == q:
		return 2
	case begin < q:
		return 3
	}
	return 0
}

// source codes the distance of a match of n bytes, and tells whether it is the old one's. Searching
// takes most of the time, so it comes last.
func (m *model) source(v *view, n int, want uint32) (distance uint32, asOld bool) {
	tried := [5]uint32{}
	try := func(i int, d, kinds uint32) bool {
		for _, x := range tried[:i] {
			if x == d {
				return false
			}
		}
		if d == 0 || d > uint32(v.at) || !m.index.Equal(v.at-int(d), v.at, n) {
			return false
		}
		tried[i] = d
		full := m.index.Common(v.at-int(d), v.at, n+1) == n
		c, far := kinds|parsestep.Truth(full)<<4, uint32(bits.Len32(d))
		return m.Bit(d == want, streamSource, int(c), &parsestep.Contexts{
			c | parsestep.Truth(n == v.left)<<7 | m.history&3<<8 | v.kind<<10,
			c | parsestep.Bucket(n)<<7 | parsestep.Bucket(v.literals)<<11 | 1<<30,
			c | uint32(i)<<7 | v.valid()<<13 | m.history&255<<15 | 1<<29,
			c | parsestep.Truth(n == v.left)<<7 | v.kind<<8 | parsestep.Bucket(n)<<10 | far<<14 | 1<<28,
			c | m.bytesAt(v.at, 3)<<8,
			(m.bytesAt(v.at, 4) ^ c<<3 ^ uint32(n)<<8) * 2654435761,
		})
	}
	if v.fits >= min(n, nearMax) && try(0, uint32(v.distance), 1) {
		return uint32(v.distance), true
	}
	for i, d := range v.repeats {
		if try(i+1, d, uint32(i+2)) {
			return d, false
		}
	}
	if d := uint32(m.nearest(v.at, n)); try(4, d, 5) {
		return d, false
	}
	return m.Number(want, streamDistance, parsestep.Bucket(n)), false
}

// nearest gives the distance of the nearest match of n bytes, 0 when none is found.
func (m *model) nearest(at, n int) int {
	for _, f := range m.found {
		if f.Size >= n {
			return f.Distance
		}
	}
	return m.index.Nearest(at, n)
}

// unusual is how often of 1<<16 a distance is coded in another way.
const unusual = 16

// offset codes how a distance is coded: encoders take a repeat where there is one.
func (m *model) offset(v *view, s *sequence, distance uint32) bool {
	usual := distance + 3
	for i := len(v.repeats) - 1; i >= 0; i-- {
		if v.repeats[i] == distance {
			usual = uint32(i + 1)
		}
	}
	if m.Code(m.Writing && usual != s.offset, unusual) {
		usual = m.Number(s.offset, streamDistance, 16)
	}
	s.offset = usual
	got, ok := m.last.take(s.offset, v.literals)
	return ok && got == distance
}
