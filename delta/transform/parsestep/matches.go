package parsestep

import "sort"

// Match is a match in a content: where it begins, how far its source lies before it and its length,
// all in bytes. A parse serves to predict, so the length may be cut to what fits.
type Match struct {
	Begin, Distance int32
	Size            uint16
	// Again is which of the latest distances it took, for a format that has Traits.Again, or how
	// many of them there are when it took none.
	Again uint8
}

func (m Match) end() int { return int(m.Begin) + int(m.Size) }

// Matches is the matches of an old file, in parts of which a few are in memory. It is for one
// goroutine.
type Matches struct {
	read  func(part int, list []Match) ([]Match, error)
	parts []part
	count int
	kept  [keptParts]keptPart
	now   int // of kept: the one used last
	err   error
}

// part says where the content of one begins, or earlier but behind all matches before it, and the
// number of its first match.
type part struct{ begin, first int32 }

// keptPart is the matches of a part. The first has a number.
type keptPart struct {
	first   int
	matches []Match
}

const keptParts = 4

// NewMatches makes a list without matches. read appends those of a part, which is called by its
// number, to a list.
func NewMatches(read func(part int, list []Match) ([]Match, error)) *Matches {
	return &Matches{read: read}
}

// AddPart adds a part of so many matches. begin is no place behind the first of them, and behind no
// byte of those in earlier parts.
func (m *Matches) AddPart(begin, count int) {
	m.parts = append(m.parts, part{int32(begin), int32(m.count)})
	m.count += count
}

// Err gives the error of reading a part again. From then on there are no matches any more.
func (m *Matches) Err() error { return m.err }

// match gives a match by its number.
func (m *Matches) match(i int) Match {
	k := &m.kept[m.now]
	if n := i - k.first; uint(n) < uint(len(k.matches)) {
		return k.matches[n]
	}
	return m.other(i)
}

// other is match for a part that is not the one used last.
func (m *Matches) other(i int) Match {
	for now := range m.kept {
		k := &m.kept[now]
		if n := i - k.first; uint(n) < uint(len(k.matches)) {
			m.now = now
			return k.matches[n]
		}
	}
	x := m.last(func(x part) bool { return int(x.first) <= i })
	if m.err != nil || x < 0 {
		return Match{}
	}
	m.now = (m.now + 1) % keptParts
	k := &m.kept[m.now]
	k.first = int(m.parts[x].first)
	k.matches, m.err = m.read(x, k.matches[:0])
	if m.err != nil || i-k.first >= len(k.matches) {
		m.count, k.matches = 0, nil
		return Match{}
	}
	return k.matches[i-k.first]
}

// last gives the last part for which ok is true, as for all before it; -1: none.
func (m *Matches) last(ok func(part) bool) int {
	return sort.Search(len(m.parts), func(i int) bool { return !ok(m.parts[i]) }) - 1
}

// find gives the first match that ends behind at; hint is near it. Behind all of them it gives their
// count.
func (m *Matches) find(at, hint int) int {
	if hint < m.count && (hint == 0 || m.match(hint-1).end() <= at) {
		for i := hint; i < min(hint+8, m.count); i++ {
			if m.match(i).end() > at {
				return i
			}
		}
	}
	x := m.last(func(x part) bool { return int(x.begin) <= at })
	if x < 0 {
		return 0
	}
	low, high := int(m.parts[x].first), m.count
	if x+1 < len(m.parts) {
		high = int(m.parts[x+1].first)
	}
	for low < high {
		if middle := (low + high) / 2; m.match(middle).end() > at {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return min(low, m.count)
}
