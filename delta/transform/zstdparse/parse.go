package zstdparse

import (
	"io"
	"slices"
)

// parse is the matches of a frame, in pieces of pieceSize.
type parse struct {
	pieces [][]match
	count  int
}

const (
	pieceBits = 14
	pieceSize = 1 << pieceBits
)

// match is where a match begins in the content, its distance and its length. Lengths of lengthMax
// and more are lengthMax: a parse serves to predict.
type match uint64

const (
	placeBits = 26 // of a place and of a distance
	lengthMax = 1<<(64-2*placeBits) - 1
)

func (m match) begin() int    { return int(m >> (64 - placeBits)) }
func (m match) distance() int { return int(m >> (64 - 2*placeBits) & (1<<placeBits - 1)) }
func (m match) end() int      { return m.begin() + int(m&lengthMax) }

func (p *parse) add(begin, distance, length int) {
	if p.count&(pieceSize-1) == 0 {
		p.pieces = append(p.pieces, make([]match, pieceSize))
	}
	p.pieces[p.count>>pieceBits][p.count&(pieceSize-1)] = match(begin)<<(64-placeBits) |
		match(distance)<<(64-2*placeBits) | match(min(length, lengthMax))
	p.count++
}

func (p *parse) match(i int) match { return p.pieces[i>>pieceBits][i&(pieceSize-1)] }

// readParse reads the parse of a frame of at most contentMax bytes of content.
func readParse(r io.Reader) (*parse, error) {
	z, err := newReader(r)
	if err != nil {
		return nil, err
	}
	p, last, at := &parse{}, firstRepeats, 0
	for {
		b, err := z.next()
		if err == io.EOF {
			return p, nil
		}
		if err != nil {
			return nil, err
		}
		if b.size > contentMax-at {
			return nil, errCorrupt
		}
		begin := at
		for _, s := range b.sequences {
			at += int(s.literals)
			d, ok := last.take(s.offset, int(s.literals))
			if !ok || d > uint32(at) {
				return nil, errCorrupt
			}
			p.add(at, int(d), int(s.match))
			at += int(s.match)
		}
		at = begin + b.size
	}
}

// find gives the first match that ends behind at; hint is near it. p.count is none.
func (p *parse) find(at, hint int) int {
	low, high := 0, p.count
	if hint < p.count && (hint == 0 || p.match(hint-1).end() <= at) {
		low = hint
		for near := min(hint+8, p.count); low < near; low++ {
			if p.match(low).end() > at {
				return low
			}
		}
	}
	for low < high {
		if middle := (low + high) / 2; p.match(middle).end() > at {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return low
}

// repeats is the last three distances, the last one first.
type repeats [3]uint32

var firstRepeats = repeats{1, 4, 8}

// choices gives the distances for which the offsets 1 to 3 stand behind so many literals.
func (r repeats) choices(literals int) [3]uint32 {
	if literals == 0 {
		return [3]uint32{r[1], r[2], r[0] - 1}
	}
	return r
}

// take gives the distance for which an offset stands, and notes it; false when there is none.
func (r *repeats) take(offset uint32, literals int) (distance uint32, ok bool) {
	if offset > 3 {
		*r = repeats{offset - 3, r[0], r[1]}
		return offset - 3, true
	}
	if offset == 0 {
		return 0, false
	}
	d := r.choices(literals)[offset-1]
	switch i := int(offset); {
	case literals == 0 && i == 1, literals > 0 && i == 2:
		*r = repeats{d, r[0], r[2]}
	case literals > 0 && i == 1:
	default:
		*r = repeats{d, r[0], r[1]}
	}
	return d, d != 0
}

// copied says that so many bytes of a new content resemble those of an old one.
type copied struct{ new, old, size int }

// alignment finds places of one content in the other.
type alignment struct {
	copies []copied // by place in the new content, apart
	byOld  []*copied
	at     int // of copies: the last one found
}

func newAlignment(copies []copied) *alignment {
	a := &alignment{copies: copies}
	for i := range copies {
		a.byOld = append(a.byOld, &copies[i])
	}
	slices.SortStableFunc(a.byOld, func(x, y *copied) int { return x.old - y.old })
	return a
}

// old gives the copy that at of the new content lies in.
func (a *alignment) old(at int) (c copied, ok bool) {
	for a.at < len(a.copies) && a.copies[a.at].new+a.copies[a.at].size <= at {
		a.at++
	}
	if a.at == len(a.copies) || a.copies[a.at].new > at {
		return copied{}, false
	}
	return a.copies[a.at], true
}

// overlaps is how many copies that begin before a byte are tried.
const overlaps = 8

// new gives the place of a byte of the old content in the new one. near is tried first.
func (a *alignment) new(old int, near copied) (at int, ok bool) {
	if d := old - near.old; d >= 0 && d < near.size {
		return near.new + d, true
	}
	i, end := 0, len(a.byOld)
	for i < end {
		if middle := (i + end) / 2; a.byOld[middle].old > old {
			end = middle
		} else {
			i = middle + 1
		}
	}
	for k := i - 1; k >= max(i-overlaps, 0); k-- {
		if d := old - a.byOld[k].old; d < a.byOld[k].size {
			return a.byOld[k].new + d, true
		}
	}
	return 0, false
}
