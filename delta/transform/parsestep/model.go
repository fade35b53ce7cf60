package parsestep

import "math/bits"

// The streams of matches. A format's own ones begin at Streams.
const (
	streamStart    = iota // does a match begin here?
	streamAsOld           // does it end where the old one does?
	streamEnds            // does it end here?
	streamLength          // its length, when it ends nowhere notable
	streamSource          // is this its source?
	StreamDistance        // its distance, when its source is none of those
	Streams
)

// Traits says what the matches of a format are like. All lengths are in bytes.
type Traits struct {
	Streams  int  // of bits, with those of a Model
	Contexts int  // of each bit, at most 8
	Latest   int  // how many of the latest distances a match may take, at most 4
	Again    bool // it counts which of them a match took

	Shortest int // match of the latest distance
	Short    int // match of another one
	Longest  int // match
	Told     int // longest match whose end is looked for by those of others
	Near     int // that are compared to see how good a match would be

	// Lasts are how an encoder finds matches of few bytes, in order of their sizes. The first one's
	// is Short.
	Lasts []Last
}

// eachMax is how many bytes of a match may each be its end.
const eachMax = 32

// Model codes the matches of a content. For each position Look comes first, then Begins, then for a
// match its Length, then its Source, then Note.
type Model struct {
	*Coder
	traits  Traits
	content []byte
	old     *Matches
	places  *alignment
	index   *recent
	view    view
	history uint32 // a bit for each of the last matches: it was not as the old one
	length  int    // of the last match
	hint    int    // of the old parse: a match near the position
	found   []found
	asOld   bool // the match at hand is as the old one
}

// NewModel makes a model of a content whose bytes do not change from the first Look on. It codes
// copies, where the content resembles that of the old file, in order of New and apart, in a
// stream. A reader gives nil. ok is false when they are none of such a content.
func NewModel(c *Coder, t Traits, s Sizes, content []byte, old *Matches, copies []Run,
	stream int) (m *Model, ok bool) {
	m = &Model{Coder: c, traits: t, content: content, old: old, index: newRecent(content, s, t.Lasts)}
	m.places, ok = c.alignment(copies, len(content), stream)
	return m, ok
}

// bytesAt gives the n bytes from at on, which may lie outside.
func (m *Model) bytesAt(at, n int) (v uint32) {
	for i := range n {
		if v <<= 8; at+i >= 0 && at+i < len(m.content) {
			v |= uint32(m.content[at+i])
		}
	}
	return v
}

// Begins codes whether a match begins.
func (m *Model) Begins(begins bool) bool {
	v := &m.view
	return m.bit(begins, streamStart, v.set(m.history), &contexts{
		v.base | m.history&7<<12,
		v.base | bucket(v.literals)<<12 | bucket(v.same[0])<<16,
		v.kind | bucket(v.literals)<<2 | bucket(v.best())<<6 | bucket(m.length)<<10 | 1<<30,
		v.kind | m.bytesAt(v.at-1, 2)<<2 | uint32(min(v.literals, 3))<<18,
		v.base | m.history&255<<12,
		(m.bytesAt(v.at, 4) ^ v.kind<<30) * 2654435761,
		v.how | v.kind<<7 | uint32(min(v.left, 15))<<9 | m.history&3<<13 | v.valid()<<15 | 1<<29,
		v.kind | uint32(min(v.same[0], 3))<<2 | uint32(min(v.same[1], 3))<<4 |
			uint32(min(v.same[2], 3))<<6 | uint32(min(v.same[3], 3))<<8 |
			uint32(min(v.literals, 7))<<10 | uint32(min(v.left, 7))<<13 | 1<<28,
	})
}

// Length codes the length of a match that ends at end at the latest. A reader may get any length.
func (m *Model) Length(want, end int) int {
	v := &m.view
	shortest := m.traits.Short
	if v.same[0] > 0 {
		shortest = m.traits.Shortest
	}
	old, longest := 0, min(m.traits.Longest, end-v.at)
	m.found, m.asOld = m.found[:0], false
	if v.kind >= kindBegin && v.left >= shortest && v.left <= longest {
		if old = v.left; m.endsAsOld(v, want == old) {
			m.asOld = true
			return old
		}
	}
	most := min(m.traits.Told, end-v.at)
	m.found = m.index.matches(m.found, v.at, most)
	known := max(v.best(), v.fits)
	if len(m.found) > 0 {
		known = max(known, m.found[len(m.found)-1].size)
	}
	known = min(known, most)
	passed, next, found := 0, v.match, m.found
	for n := shortest; n <= known; n++ {
		for len(found) > 0 && found[0].size < n {
			found = found[1:]
		}
		note, longer := v.notable(n, found), len(found)
		if n == old || n > eachMax && note == 0 {
			continue
		}
		border := m.border(v, n, &next)
		c, set := note|border<<5, note|Truth(border == 1 || border == 2)<<5
		if m.bit(want == n, streamEnds, int(set), &contexts{
			c | bucket(n)<<8 | bucket(known)<<12,
			note | bucket(known-n)<<5 | bucket(n)<<9 | uint32(min(passed, 3))<<13 | 1<<30,
			c | uint32(min(longer, 7))<<8 | m.history&3<<11 | v.kind<<13 | 1<<29,
			c | m.bytesAt(v.at+n-1, 2)<<8,
			c | bucket(v.literals)<<8 | bucket(known)<<12 | 1<<28,
			(m.bytesAt(v.at+n-2, 4) ^ note<<2) * 2654435761,
			c | uint32(min(n, 63))<<8 | uint32(min(known-n, 15))<<14 | 1<<27,
			c | v.how<<8 | bucket(n)<<15 | 1<<26,
		}) {
			return n
		}
		if note != 0 {
			passed++
		}
	}
	return int(m.Number(uint32(want-m.traits.Shortest)&(1<<31-1), streamLength, 0)) +
		m.traits.Shortest
}

// endsAsOld codes whether a match ends where the old one does.
func (m *Model) endsAsOld(v *view, ends bool) bool {
	n := v.left
	fits := Truth(n == v.same[0])<<1 | Truth(n == v.same[1])<<2 | Truth(n == v.fits)<<3
	return m.bit(ends, streamAsOld, v.set(m.history), &contexts{
		v.base | m.history&7<<12,
		v.base | bucket(v.best())<<12,
		fits | v.kind<<4 | bucket(n)<<6 | m.history&15<<10,
		v.kind | bucket(n)<<2 | m.history&3<<10 | 1<<29,
		v.kind | m.bytesAt(v.at+n-1, 2)<<2 | 1<<28,
		(m.bytesAt(v.at, 4) ^ uint32(n)<<3) * 2654435761,
		v.how | v.kind<<7 | bucket(n)<<9 | fits<<13 | 1<<27,
		v.how | m.history&15<<7 | uint32(min(v.literals, 3))<<11 | v.valid()<<13 | 1<<26,
	})
}

// Source codes the distance of a match of n bytes. Searching takes most of the time, so it comes
// last. A reader may get any distance.
func (m *Model) Source(n int, want uint32) (distance uint32) {
	v := &m.view
	var tried [latestMax + 2]uint32
	try := func(i int, d uint32) bool {
		for _, x := range tried[:i] {
			if x == d {
				return false
			}
		}
		if d == 0 || d > uint32(v.at) || !m.index.equal(v.at-int(d), v.at, n) {
			return false
		}
		tried[i] = d
		full := m.index.common(v.at-int(d), v.at, n+1) == n
		c, far := uint32(i+1)|Truth(full)<<4, uint32(bits.Len32(d))
		return m.bit(d == want, streamSource, int(c), &contexts{
			c | Truth(n == v.left)<<7 | m.history&3<<8 | v.kind<<10,
			c | bucket(n)<<7 | bucket(v.literals)<<11 | 1<<30,
			c | uint32(i)<<7 | v.valid()<<13 | m.history&255<<15 | 1<<29,
			c | Truth(n == v.left)<<7 | v.kind<<8 | bucket(n)<<10 | far<<14 | 1<<28,
			c | m.bytesAt(v.at, 3)<<8,
			(m.bytesAt(v.at, 4) ^ c<<3 ^ uint32(n)<<8) * 2654435761,
			c | v.how<<7 | v.kind<<14 | 1<<27,
			c | uint32(min(n, 15))<<7 | far<<11 | uint32(min(v.same[0], 3))<<16 |
				uint32(min(v.same[1], 3))<<18 | 1<<26,
		})
	}
	if v.fits >= min(n, m.traits.Near) && try(0, uint32(v.distance)) {
		return uint32(v.distance)
	}
	m.asOld = false
	for i, d := range v.latest[:m.traits.Latest] {
		if try(1+i, d) {
			return d
		}
	}
	if d := uint32(m.nearest(v.at, n)); try(1+m.traits.Latest, d) {
		return d
	}
	return m.Number(want, StreamDistance, bucket(n))
}

// nearest gives the distance of the nearest match of n bytes, 0 when none is found.
func (m *Model) nearest(at, n int) int {
	for _, f := range m.found {
		if f.size >= n {
			return f.distance
		}
	}
	return m.index.nearest(at, n)
}

// Again tells which of the latest distances a distance is, the first one if several are.
func (m *Model) Again(distance uint32) (i int, ok bool) {
	for i, d := range m.view.latest {
		if d == distance && d > 0 {
			return i, true
		}
	}
	return 0, false
}

// unusual is how often of 1<<16 a distance is coded in another way.
const unusual = 16

// Unusual codes whether a distance is coded otherwise than encoders mostly do.
func (m *Model) Unusual(is bool) bool { return m.Code(m.Writing && is, unusual) }

// Note ends a match of n bytes.
func (m *Model) Note(n int) {
	m.history = m.history<<1 | 1 - Truth(m.asOld)
	m.length = n
}
