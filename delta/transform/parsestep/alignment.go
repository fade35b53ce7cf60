package parsestep

import "slices"

// Run says that Size bytes of a new content resemble those of an old one.
type Run struct{ New, Old, Size int }

// alignment finds places of one content in the other. It is for one goroutine.
type alignment struct {
	copies []Run // by place in the new content, apart
	byOld  []*Run
	at     int // of copies: the last one found
}

func newAlignment(copies []Run) *alignment {
	a := &alignment{copies: copies}
	for i := range copies {
		a.byOld = append(a.byOld, &copies[i])
	}
	slices.SortStableFunc(a.byOld, func(x, y *Run) int { return x.Old - y.Old })
	return a
}

// old gives the copy that a place of the new content lies in. Places do not go back from call to
// call.
func (a *alignment) old(at int) (c Run, ok bool) {
	for a.at < len(a.copies) && a.copies[a.at].New+a.copies[a.at].Size <= at {
		a.at++
	}
	if a.at == len(a.copies) || a.copies[a.at].New > at {
		return Run{}, false
	}
	return a.copies[a.at], true
}

// overlaps is how many copies that begin before a byte are tried.
const overlaps = 8

// new gives the place of a byte of the old content in the new one. near is tried first.
func (a *alignment) new(old int, near Run) (at int, ok bool) {
	if d := old - near.Old; d >= 0 && d < near.Size {
		return near.New + d, true
	}
	i, end := 0, len(a.byOld)
	for i < end {
		if middle := (i + end) / 2; a.byOld[middle].Old > old {
			end = middle
		} else {
			i = middle + 1
		}
	}
	for k := i - 1; k >= max(i-overlaps, 0); k-- {
		if d := old - a.byOld[k].Old; d < a.byOld[k].Size {
			return a.byOld[k].New + d, true
		}
	}
	return 0, false
}

// alignment codes the copies of a new content of size bytes, in order of New and apart. A writer
// gives them, a reader nil. It is false when they are none of such a content.
func (c *Coder) alignment(list []Run, size, stream int) (_ *alignment, ok bool) {
	n := c.Number(uint32(len(list)), stream, 0)
	if n > copiesMax {
		return nil, false
	}
	var before Run
	for i := range n {
		var r Run
		if c.Writing {
			if r = list[i]; r.New < before.New+before.Size {
				return nil, false // Number has no room for negative ones
			}
		}
		gap := c.Number(uint32(r.New-before.New-before.Size), stream, 1)
		move := c.Number(zigzag(r.Old-before.Old-before.Size), stream, 2)
		length := c.Number(uint32(r.Size), stream, 3)
		if gap > ContentMax || move > 4*ContentMax || length > ContentMax || c.Overread() {
			return nil, false
		}
		r = Run{
			New:  before.New + before.Size + int(gap),
			Old:  before.Old + before.Size + unzigzag(move),
			Size: int(length),
		}
		if r.Old < 0 || r.Old+r.Size > ContentMax || r.New+r.Size > size {
			return nil, false
		}
		before = r
		if !c.Writing {
			list = append(list, r)
		}
	}
	return newAlignment(list), true
}

func zigzag(v int) uint32   { return uint32(v<<1 ^ v>>31) }
func unzigzag(v uint32) int { return int(int32(v>>1) ^ -int32(v&1)) }
