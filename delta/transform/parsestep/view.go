package parsestep

import "math/bits"

// view is what is known of a position before it is coded whether a match begins there.
type view struct {
	at, literals int
	copy         Run // of size 0: no place in the old content
	match        int // of the old parse: the first that ends behind it
	kind         uint32
	left         int // bytes of the old match
	distance     int // of its source, 0: it has no place here
	fits         int // bytes that this source gives right
	latest       Latest
	same         [latestMax]int // bytes that these give right
	base         uint32         // a context
	how          uint32         // a context: which of the latest distances those of the old match were
}

// Latest has the latest distances that a match may take, each in bytes, or 0 behind the last.
type Latest [latestMax]uint32

const latestMax = 4

// What lies at the place of a position in the old content.
const (
	kindNone = iota
	kindLiteral
	kindBegin
	kindWithin
)

// Look turns to a position behind so many literals. What follows is about it.
func (m *Model) Look(at, literals int, latest Latest) {
	m.view = view{at: at, literals: literals, latest: latest}
	v := &m.view
	since, valid := 0, uint32(0)
	if c, ok := m.places.old(at); ok {
		v.copy = c
		since, valid = m.lookOld(v, at-c.New+c.Old)
	}
	for i, d := range latest {
		if d > 0 && d <= uint32(at) {
			v.same[i] = m.index.common(at-int(d), at, m.traits.Near)
		}
	}
	if m.traits.Again && v.kind >= kindBegin {
		v.how = m.how(v)
	}
	v.base = v.kind | uint32(min(since, 7))<<2 | uint32(min(v.left, 15))<<5 | valid<<validShift
}

// lookOld looks at place q of the old content. It gives how many bytes before q the old match
// begins, and how good its source would be here.
func (m *Model) lookOld(v *view, q int) (since int, valid uint32) {
	v.kind, v.match = kindLiteral, m.old.find(q, m.hint)
	if m.hint = v.match; v.match == m.old.count {
		return 0, 0
	}
	old := m.old.match(v.match)
	if since = q - int(old.Begin); since < 0 {
		v.left = min(-since, 15) // bytes to the next match
		return 0, 0
	}
	v.left, v.kind = old.end()-q, kindBegin
	if since > 0 {
		v.kind = kindWithin
	}
	s, ok := m.places.new(q-int(old.Distance), v.copy)
	if !ok || s >= v.at {
		return since, 0
	}
	v.distance, v.fits = v.at-s, m.index.common(s, v.at, m.traits.Near)
	switch {
	case v.fits == v.left:
		return since, 3
	case v.fits >= min(v.left, m.traits.Near):
		return since, 2
	}
	return since, 1
}

// how tells how the old match's distance was coded, how its new one would be, and whether it is the
// same, as a context of 7 bits.
func (m *Model) how(v *view) uint32 {
	old := m.old.match(v.match)
	again := latestMax
	if i, ok := m.Again(uint32(v.distance)); ok {
		again = i
	}
	moved := 2
	switch d := int(old.Distance); {
	case d == v.distance:
		moved = 0
	case v.distance > 0 && highest(uint32(d)-1) == highest(uint32(v.distance)-1):
		moved = 1
	}
	return uint32(int(old.Again)*(latestMax+1)+again)<<2 | uint32(moved)
}

// highest tells numbers apart by their length and their highest two bits.
func highest(d uint32) uint32 {
	if d < 4 {
		return d
	}
	n := uint32(bits.Len32(d)) - 1
	return 2*n + d>>(n-1)&1
}

const validShift = 9

// valid tells how good a source of the old match would be: 0 for none, 1 to 3.
func (v *view) valid() uint32 { return v.base >> validShift & 3 }

// best is how many bytes the best of the latest distances gives right.
func (v *view) best() int { return max(v.same[0], v.same[1], v.same[2], v.same[3]) }

// set gives a set of weights.
func (v *view) set(history uint32) int { return int(v.kind | v.valid()<<2 | history&1<<4) }

// notable tells, as a context, which sources give just n bytes right. found has the matches that
// are not shorter.
func (v *view) notable(n int, found []found) (note uint32) {
	if len(found) > 0 && found[0].size == n {
		note = 1 | Truth(len(found) == 1)<<1
	}
	note |= Truth(v.same[0] == n) << 2
	note |= Truth(v.same[1] == n || v.same[2] == n || v.same[3] == n) << 3
	return note | Truth(v.fits == n)<<4
}

// border tells what the old parse has n bytes behind the position: 1 and 2 for the beginning and the
// end of a match. next is of the old parse, and moves on.
func (m *Model) border(v *view, n int, next *int) uint32 {
	d := v.at - v.copy.New + n
	if v.copy.Size == 0 || d > v.copy.Size {
		return 4
	}
	q := v.copy.Old + d
	for *next < m.old.count && m.old.match(*next).end() <= q {
		*next++
	}
	begin := ContentMax
	if *next < m.old.count {
		begin = int(m.old.match(*next).Begin)
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
