package delta

import (
	"cmp"
	"fmt"
	"slices"

	"deltaup/chunkstore"
)

// builder turns what is needed into ranges.
type builder struct {
	have     Have
	gap      int64 // longest gap that is fetched along
	maxRange int64
}

// piece is missing bytes of one frame.
type piece struct {
	Extent
	frame int  // position in the sorted frames
	last  bool // of that frame
}

// whole plans the missing bytes of the finished image.
func (b *builder) whole(p *Plan, w Whole) {
	var ranges []Range
	for _, e := range subtract(Extent{0, w.Size}, normalize(b.have.Extents(w.ID))) {
		for e.Length > 0 {
			n := min(e.Length, b.maxRange)
			ranges = append(ranges, Range{File: w.ID, Image: true, Offset: e.Offset, Length: n})
			e.Offset, e.Length = e.Offset+n, e.Length-n
		}
	}
	p.add(ranges)
}

// chunks plans the frames of all chunks in the lists that no seed has, each once.
func (b *builder) chunks(p *Plan, lists ...List) error {
	seen := map[chunkstore.ID]bool{}
	var files []chunkstore.ID // in order of first need
	frames := map[chunkstore.ID][]Frame{}
	for _, list := range lists {
		if len(list.Chunks) != len(list.Locations) {
			return fmt.Errorf("index: %d locations for %d chunks: %w", len(list.Locations), len(list.Chunks), chunkstore.ErrCorrupt)
		}
		for i, c := range list.Chunks {
			if seen[c.ID] {
				continue
			}
			seen[c.ID] = true
			if b.have.Chunk(c.ID) {
				p.ChunksHave++
				continue
			}
			at := list.Locations[i]
			if err := checkLocation(c, at); err != nil {
				return err
			}
			if frames[at.Pack] == nil {
				files = append(files, at.Pack)
			}
			frames[at.Pack] = append(frames[at.Pack], Frame{Chunk: c, Offset: at.Offset, Length: at.Length})
		}
	}
	for _, file := range files {
		b.pack(p, file, frames[file])
	}
	return nil
}

// pack plans the missing bytes of the wanted frames of one pack.
func (b *builder) pack(p *Plan, file chunkstore.ID, frames []Frame) {
	slices.SortFunc(frames, func(x, y Frame) int {
		return cmp.Or(cmp.Compare(x.Offset, y.Offset), cmp.Compare(x.Length, y.Length))
	})
	extents := normalize(b.have.Extents(file))
	pieces := missing(frames, extents)
	var ranges []Range
	for _, m := range pieces {
		if n := len(ranges); n > 0 && b.joins(ranges[n-1], m.Extent, extents) {
			ranges[n-1].Length = m.End() - ranges[n-1].Offset
		} else {
			ranges = append(ranges, Range{File: file, Offset: m.Offset, Length: m.Length})
		}
		if m.last {
			r := &ranges[len(ranges)-1]
			r.Frames = append(r.Frames, frames[m.frame])
			p.ChunksFetch++
		}
	}
	p.add(ranges)
	for _, f := range frames {
		if len(subtract(Extent{f.Offset, f.Length}, extents)) == 0 {
			p.ChunksCached++
		}
	}
}

// joins tells whether the next missing piece is fetched in the same request as r: when the gap
// is cheap, none of its bytes is on disk already, and r does not get too long.
func (b *builder) joins(r Range, next Extent, extents []Extent) bool {
	end := r.Offset + r.Length
	if next.Offset-end > b.gap || next.End()-r.Offset > b.maxRange {
		return false
	}
	if next.Offset == end {
		return true
	}
	left := subtract(Extent{end, next.Offset - end}, extents)
	return len(left) == 1 && left[0].Length == next.Offset-end
}

// missing lists the bytes of sorted frames that are in no extent, in order and each once, cut at frames.
// A frame whose missing bytes all belong to frames before it (they overlap in a
// wrong index only) has no piece.
func missing(frames []Frame, extents []Extent) []piece {
	var pieces []piece
	var done int64 // everything before is dealt with
	for i, f := range frames {
		start := max(f.Offset, done)
		end := f.Offset + f.Length
		if start >= end {
			continue
		}
		done = end
		parts := subtract(Extent{start, end - start}, extents)
		for j, e := range parts {
			pieces = append(pieces, piece{Extent: e, frame: i, last: j == len(parts)-1})
		}
	}
	return pieces
}

// normalize sorts extents, joins those that touch or overlap and drops empty ones.
func normalize(extents []Extent) []Extent {
	sorted := slices.Clone(extents)
	slices.SortFunc(sorted, func(x, y Extent) int { return cmp.Compare(x.Offset, y.Offset) })
	out := sorted[:0]
	for _, e := range sorted {
		switch n := len(out); {
		case e.Length <= 0:
		case n > 0 && e.Offset <= out[n-1].End():
			out[n-1].Length = max(out[n-1].End(), e.End()) - out[n-1].Offset
		default:
			out = append(out, e)
		}
	}
	return out
}

// subtract gives the parts of e that are in none of the normalized extents.
func subtract(e Extent, extents []Extent) []Extent {
	i, _ := slices.BinarySearchFunc(extents, e.Offset, func(x Extent, offset int64) int { return cmp.Compare(x.End(), offset+1) })
	var out []Extent
	for _, x := range extents[i:] {
		if x.Offset >= e.End() {
			break
		}
		if x.Offset > e.Offset {
			out = append(out, Extent{e.Offset, x.Offset - e.Offset})
		}
		next := min(max(x.End(), e.Offset), e.End())
		e = Extent{next, e.End() - next}
	}
	if e.Length > 0 {
		out = append(out, e)
	}
	return out
}
