package zstdparse

import (
	"bufio"
	"io"
	"sort"
)

// parse is the matches of a frame. It keeps those of a few blocks, and of the others what it takes
// to read them again. It is for one goroutine.
type parse struct {
	frame  io.ReaderAt
	size   int64
	parts  []part
	count  int
	tables map[*fse]bool

	again reader // of blocks that are read again
	kept  [keptParts]keptPart
	now   int   // of kept: the one used last
	err   error // of reading a block again; there are no matches any more
}

// part is a block that has matches, and the state of a decoder before it.
type part struct {
	offset       int64 // in the frame
	begin, first int   // where its content begins, its first match
	last         repeats
	known        known
}

// keptPart is the matches of a block. The first has a number.
type keptPart struct {
	first   int
	matches []match
}

const (
	keptParts = 4
	partsMax  = 1 << 13
	tablesMax = 1 << 12
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

func newMatch(begin, distance, length int) match {
	return match(begin)<<(64-placeBits) | match(distance)<<(64-2*placeBits) |
		match(min(length, lengthMax))
}

// readParse reads the parse of a frame of at most contentMax bytes of content, with which b begins.
// The parse reads b as long as it is used.
func readParse(b io.ReaderAt, size int64) (*parse, error) {
	p := &parse{frame: b, size: size, tables: map[*fse]bool{}}
	z, err := newReader(bufio.NewReaderSize(io.NewSectionReader(b, 0, size), 1<<16))
	if err != nil {
		return nil, err
	}
	last, at := firstRepeats, 0
	for {
		here := part{offset: z.at, begin: at, first: p.count, last: last, known: z.known}
		b, err := z.next()
		if err == io.EOF {
			p.tables = nil
			return p, nil
		}
		if err != nil {
			return nil, err
		}
		if b.size > contentMax-at {
			return nil, errCorrupt
		}
		if len(b.sequences) > 0 && !p.add(here) {
			return nil, errCorrupt
		}
		if !b.matches(at, &last, func(match) {}) {
			return nil, errCorrupt
		}
		p.count += len(b.sequences)
		at += b.size
	}
}

// add adds a part, if that does not take too much memory. Most tables serve many blocks.
func (p *parse) add(x part) bool {
	for i, t := range x.known {
		if p.tables[t] = true; t != nil && t != predefined[i] {
			t.states, t.symbols = nil, nil // nothing is written with it
		}
	}
	p.parts = append(p.parts, x)
	return len(p.parts) <= partsMax && len(p.tables) <= tablesMax
}

// matches gives the matches of a block whose content begins at at. It is false when one has no
// source.
func (b *block) matches(at int, last *repeats, give func(match)) bool {
	for _, s := range b.sequences {
		at += int(s.literals)
		d, ok := last.take(s.offset, int(s.literals))
		if !ok || d > uint32(at) {
			return false
		}
		give(newMatch(at, int(d), int(s.match)))
		at += int(s.match)
	}
	return true
}

// match gives a match by its number.
func (p *parse) match(i int) match {
	k := &p.kept[p.now]
	if n := i - k.first; uint(n) < uint(len(k.matches)) {
		return k.matches[n]
	}
	return p.other(i)
}

// other is match for a block that is not the one used last.
func (p *parse) other(i int) match {
	for now := range p.kept {
		k := &p.kept[now]
		if n := i - k.first; uint(n) < uint(len(k.matches)) {
			p.now = now
			return k.matches[n]
		}
	}
	x := p.last(func(x *part) bool { return x.first <= i })
	if p.err != nil || x < 0 {
		return 0
	}
	p.now = (p.now + 1) % keptParts
	k := &p.kept[p.now]
	if p.err = p.read(&p.parts[x], k); p.err != nil || i-k.first >= len(k.matches) {
		p.count, k.matches = 0, nil
		return 0
	}
	return k.matches[i-k.first]
}

// read reads a block again.
func (p *parse) read(x *part, k *keptPart) error {
	z := &p.again // with the buffers of the block before
	z.r = io.NewSectionReader(p.frame, x.offset, p.size-x.offset)
	z.known, z.tree, z.last = x.known, true, false
	b, err := z.next()
	if err != nil {
		return err
	}
	k.first, k.matches = x.first, k.matches[:0]
	last := x.last
	if !b.matches(x.begin, &last, func(m match) { k.matches = append(k.matches, m) }) {
		return errCorrupt
	}
	return nil
}

// last gives the last part for which ok is true, as for all before it; -1: none.
func (p *parse) last(ok func(*part) bool) int {
	return sort.Search(len(p.parts), func(i int) bool { return !ok(&p.parts[i]) }) - 1
}

// find gives the first match that ends behind at; hint is near it. p.count is none.
func (p *parse) find(at, hint int) int {
	if hint < p.count && (hint == 0 || p.match(hint-1).end() <= at) {
		for i := hint; i < min(hint+8, p.count); i++ {
			if p.match(i).end() > at {
				return i
			}
		}
	}
	x := p.last(func(x *part) bool { return x.begin <= at })
	if x < 0 {
		return 0
	}
	low, high := p.parts[x].first, p.count
	if x+1 < len(p.parts) {
		high = p.parts[x+1].first
	}
	for low < high {
		if middle := (low + high) / 2; p.match(middle).end() > at {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return min(low, p.count)
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
