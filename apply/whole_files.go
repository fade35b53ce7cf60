package apply

import (
	"context"
	"errors"

	"deltaup/chunkstore"
	"deltaup/delta"
	"deltaup/mirror"
	"deltaup/mirror/client"
)

// learnRanges finds out whether the mirrors send parts of files, which decides what a plan costs.
func (f *fetcher) learnRanges(ctx context.Context, release *mirror.Release) {
	if !f.wholeFiles {
		f.wholeFiles = !f.client.Ranges(ctx, mirror.ReleasePath(release.Version))
	}
}

// turnsWhole tells whether err means that the mirrors send only whole files, which was not known
// before. From then on it is.
func (f *fetcher) turnsWhole(err error) bool {
	if f.wholeFiles || !errors.Is(err, client.ErrWholeFiles) {
		return false
	}
	f.wholeFiles = true
	return true
}

// size is how many bytes a file of the mirror has; 0: not known.
func (f *fetcher) size(file delta.File) int64 { return f.sizes[file.ID] }

// notePacks takes note of the sizes of an index's packs.
func (f *fetcher) notePacks(x *chunkstore.Index) {
	for _, p := range x.Packs {
		f.sizes[p.ID] = p.Size
	}
}

// lacks is how many bytes come when e of a file is fetched.
func (f *fetcher) lacks(file delta.File, e delta.Extent) int64 {
	n := f.cache.Lacks(file.ID, e)
	if n > 0 && f.wholeFiles {
		return max(f.size(file), e.End())
	}
	return n
}

// lacksPieces is how many bytes come when pieces are fetched.
func (f *fetcher) lacksPieces(pieces []delta.Piece) (n int64) {
	seen := map[delta.File]bool{}
	for _, p := range pieces {
		lacks := f.lacks(p.File, p.Extent)
		if lacks == 0 || f.wholeFiles && seen[p.File] {
			continue
		}
		seen[p.File] = true
		n += lacks
	}
	return n
}

// missing gives the ranges that are fetched to have e of a file.
func (f *fetcher) missing(file delta.File, e delta.Extent) []delta.Range {
	missing := f.cache.Missing(file.ID, e)
	if f.wholeFiles && len(missing) > 0 {
		size := max(f.size(file), e.End())
		first := f.cache.Missing(file.ID, delta.Extent{Length: size})[0].Offset
		return []delta.Range{{File: file, Offset: first, Length: size - first, Skip: first}}
	}
	var ranges []delta.Range
	for _, m := range missing {
		ranges = append(ranges, delta.Range{File: file, Offset: m.Offset, Length: m.Length})
	}
	return ranges
}
