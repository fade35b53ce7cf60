package delta

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sort"

	"deltaup/chunkstore"
)

// builder makes the ranges of plans.
type builder struct {
	have     Have
	gap      int64 // longest gap to fetch along with the pieces around it
	maxRange int64
	size     func(File) int64 // see Options.Whole
}

// fileNeed is the part of one file that is needed.
type fileNeed struct {
	pieces []Extent
	chunks []Extent // the pieces that are frames of chunks
}

// whole plans the missing bytes of a piece that may be cut anywhere.
func (b *builder) whole(p *Plan, w Piece) {
	extents := joined(b.have.Extents(w.File.ID))
	left := subtract(w.Extent, extents)
	if b.size != nil && len(left) > 0 {
		p.add(b.allOf(w.File, extents, w.End()))
		return
	}
	var ranges []Range
	for _, e := range left {
		for e.Length > 0 {
			n := min(e.Length, b.maxRange)
			ranges = append(ranges, Range{File: w.File, Offset: e.Offset, Length: n})
			e.Offset, e.Length = e.Offset+n, e.Length-n
		}
	}
	p.add(ranges)
}

// pieces plans pieces and the frames of those chunks in lists that no seed has. It counts the
// chunks in p.
func (b *builder) pieces(p *Plan, pieces []Piece, lists ...List) error {
	var files []File // in order of first need
	needs := map[File]*fileNeed{}
	need := func(f File) *fileNeed {
		if needs[f] == nil {
			files = append(files, f)
			needs[f] = &fileNeed{}
		}
		return needs[f]
	}
	for _, x := range pieces {
		if x.Offset < 0 || x.Length <= 0 || x.Offset > math.MaxInt64-x.Length {
			return fmt.Errorf("no piece can lie at %d+%d of %s: %w", x.Offset, x.Length, x.File.ID,
				chunkstore.ErrCorrupt)
		}
		n := need(x.File)
		n.pieces = append(n.pieces, x.Extent)
	}
	seen := map[chunkstore.ID]bool{}
	for _, list := range lists {
		if len(list.Chunks) != len(list.Locations) {
			return fmt.Errorf("index: %d locations for %d chunks: %w", len(list.Locations),
				len(list.Chunks), chunkstore.ErrCorrupt)
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
			n := need(File{PackFile, at.Pack})
			e := Extent{at.Offset, at.Length}
			n.pieces, n.chunks = append(n.pieces, e), append(n.chunks, e)
		}
	}
	for _, file := range files {
		b.file(p, file, needs[file])
	}
	return nil
}

// file plans the missing bytes of one file.
func (b *builder) file(p *Plan, file File, need *fileNeed) {
	extents := joined(b.have.Extents(file.ID))
	for _, c := range need.chunks {
		if len(subtract(c, extents)) == 0 {
			p.ChunksCached++
		} else {
			p.ChunksFetch++
		}
	}
	lacking := missing(need.pieces, extents)
	if n := len(lacking); b.size != nil && n > 0 {
		p.add(b.allOf(file, extents, lacking[n-1].End()))
		return
	}
	var ranges []Range
	for _, m := range lacking {
		if n := len(ranges); n > 0 && b.joins(ranges[n-1], m, extents) {
			ranges[n-1].Length = m.End() - ranges[n-1].Offset
		} else {
			ranges = append(ranges, Range{File: file, Offset: m.Offset, Length: m.Length})
		}
	}
	p.add(ranges)
}

// allOf is the one request for a file that the mirror sends whole. Its range begins behind what is
// on disk of the file's beginning. The file counts as no smaller than end, the end of what is
// needed of it.
func (b *builder) allOf(file File, extents []Extent, end int64) []Range {
	size := max(b.size(file), end)
	first := subtract(Extent{0, size}, extents)[0].Offset
	return []Range{{File: file, Offset: first, Length: size - first, Skip: first}}
}

// joins tells whether r and the next missing piece become one request: the gap between them is
// cheap, none of its bytes is on disk, and the request does not get too long.
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

// byOffset sorts extents. Sorts with an interface share their code, which keeps the command for
// targets small.
type byOffset []Extent

func (e byOffset) Len() int      { return len(e) }
func (e byOffset) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e byOffset) Less(i, j int) bool {
	return e[i].Offset < e[j].Offset || e[i].Offset == e[j].Offset && e[i].Length < e[j].Length
}

// missing lists the bytes of pieces that are in none of the joined extents, each once, by offset,
// cut between pieces. It sorts pieces. Pieces overlap only in a wrong index.
func missing(pieces, extents []Extent) []Extent {
	sort.Sort(byOffset(pieces))
	var out []Extent
	var done int64 // end of the pieces so far
	for _, x := range pieces {
		start := max(x.Offset, done)
		if start < x.End() {
			done = x.End()
			out = append(out, subtract(Extent{start, done - start}, extents)...)
		}
	}
	return out
}

// joined sorts extents, joins those that touch or overlap and drops empty ones.
func joined(extents []Extent) []Extent {
	sorted := slices.Clone(extents)
	sort.Sort(byOffset(sorted))
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

// subtract is e.Without for joined extents. It passes over those before e at once.
func subtract(e Extent, extents []Extent) []Extent {
	i, _ := slices.BinarySearchFunc(extents, e.Offset,
		func(x Extent, offset int64) int { return cmp.Compare(x.End(), offset+1) })
	return e.Without(slices.Values(extents[i:]))
}
