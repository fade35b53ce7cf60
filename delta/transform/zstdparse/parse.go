package zstdparse

import (
	"bufio"
	"io"

	"deltaup/delta/transform/parsestep"
)

// parse is the matches of a frame. It keeps those of a few blocks, and of the others what it takes
// to read them again. It is for one goroutine.
type parse struct {
	frame  io.ReaderAt
	size   int64
	parts  []part
	tables map[*fse]bool

	matches *parsestep.Matches
	again   reader // of blocks that are read again
}

// part is a block that has matches, and the state of a decoder before it.
type part struct {
	offset int64 // in the frame
	begin  int   // where its content begins
	last   repeats
	known  known
}

const (
	partsMax  = 1 << 13
	tablesMax = 1 << 12
	lengthMax = 1<<12 - 1 // bytes; longer matches count as such: a parse serves to predict
)

// readParse reads the parse of a frame of at most contentMax bytes of content, with which b begins.
// The parse reads b as long as it is used.
func readParse(b io.ReaderAt, size int64) (*parse, error) {
	p := &parse{frame: b, size: size, tables: map[*fse]bool{}}
	p.matches = parsestep.NewMatches(p.read)
	z, err := newReader(bufio.NewReaderSize(io.NewSectionReader(b, 0, size), 1<<16))
	if err != nil {
		return nil, err
	}
	last, at := firstRepeats, 0
	for {
		here := part{offset: z.at, begin: at, last: last, known: z.known}
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
		if n := len(b.sequences); n > 0 && !p.add(here, n) {
			return nil, errCorrupt
		}
		if !b.matches(at, &last, func(parsestep.Match) {}) {
			return nil, errCorrupt
		}
		at += b.size
	}
}

// add adds a part of so many matches, if that does not take too much memory. Most tables serve many
// blocks.
func (p *parse) add(x part, count int) bool {
	for i, t := range x.known {
		if p.tables[t] = true; t != nil && t != predefined[i] {
			t.states, t.symbols = nil, nil // nothing is written with it
		}
	}
	p.parts = append(p.parts, x)
	p.matches.AddPart(x.begin, count)
	return len(p.parts) <= partsMax && len(p.tables) <= tablesMax
}

// matches gives the matches of a block whose content begins at at. It is false when one has no
// source.
func (b *block) matches(at int, last *repeats, give func(parsestep.Match)) bool {
	for _, s := range b.sequences {
		at += int(s.literals)
		d, ok := last.take(s.offset, int(s.literals))
		if !ok || d > uint32(at) {
			return false
		}
		give(parsestep.Match{
			Begin: int32(at), Distance: int32(d), Size: uint16(min(s.match, lengthMax)),
		})
		at += int(s.match)
	}
	return true
}

// read reads the matches of a block again.
func (p *parse) read(i int, list []parsestep.Match) ([]parsestep.Match, error) {
	x, z := &p.parts[i], &p.again // with the buffers of the block before
	z.r = io.NewSectionReader(p.frame, x.offset, p.size-x.offset)
	z.known, z.tree, z.last = x.known, true, false
	b, err := z.next()
	if err != nil {
		return nil, err
	}
	last := x.last
	if !b.matches(x.begin, &last, func(m parsestep.Match) { list = append(list, m) }) {
		return nil, errCorrupt
	}
	return list, nil
}

// repeatCount is how many of the last distances have offsets of their own.
const repeatCount = 3

// repeats is the last distances, the last one first.
type repeats [repeatCount]uint32

var firstRepeats = repeats{1, 4, 8}

// choices gives the distances for which the offsets 1 to 3 stand behind so many literals.
func (r repeats) choices(literals int) parsestep.Latest {
	if literals == 0 {
		return parsestep.Latest{r[1], r[2], r[0] - 1}
	}
	return parsestep.Latest{r[0], r[1], r[2]}
}

// take gives the distance for which an offset stands, and notes it; false when there is none.
func (r *repeats) take(offset uint32, literals int) (distance uint32, ok bool) {
	if offset > repeatCount {
		*r = repeats{offset - repeatCount, r[0], r[1]}
		return offset - repeatCount, true
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
