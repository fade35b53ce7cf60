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
func (u *Update) learnRanges(ctx context.Context) {
	if !u.wholeFiles {
		u.wholeFiles = !u.r.Client.Ranges(ctx, mirror.ReleasePath(u.release.Version))
	}
}

// turnsWhole tells whether err means that the mirrors send only whole files, which was not known
// before. From then on it is.
func (u *Update) turnsWhole(err error) bool {
	if u.wholeFiles || !errors.Is(err, client.ErrWholeFiles) {
		return false
	}
	u.wholeFiles = true
	return true
}

// size is how many bytes a file of the mirror has; 0 when nothing has told.
func (u *Update) size(f delta.File) int64 {
	if f.Kind == delta.ImageFile {
		return u.image.Size
	}
	return u.sizes[f.ID]
}

// notePacks takes note of the sizes of an index's packs.
func (u *Update) notePacks(x *chunkstore.Index) {
	for _, p := range x.Packs {
		u.sizes[p.ID] = p.Size
	}
}

// lacks is how many bytes come when e of a file is fetched.
func (u *Update) lacks(f delta.File, e delta.Extent) int64 {
	n := u.state.Cache.Lacks(f.ID, e)
	if n > 0 && u.wholeFiles {
		return max(u.size(f), e.End())
	}
	return n
}

// lacksPieces is how many bytes come when pieces are fetched.
func (u *Update) lacksPieces(pieces []delta.Piece) (n int64) {
	seen := map[delta.File]bool{}
	for _, p := range pieces {
		lacks := u.lacks(p.File, p.Extent)
		if lacks == 0 || u.wholeFiles && seen[p.File] {
			continue
		}
		seen[p.File] = true
		n += lacks
	}
	return n
}

// toFetch gives what is to be fetched for e of a file.
func (u *Update) toFetch(f delta.File, e delta.Extent) []delta.Range {
	missing := u.state.Cache.Missing(f.ID, e)
	if u.wholeFiles && len(missing) > 0 {
		size := max(u.size(f), e.End())
		first := u.state.Cache.Missing(f.ID, delta.Extent{Length: size})[0].Offset
		return []delta.Range{{File: f, Offset: first, Length: size - first, Skip: first}}
	}
	var ranges []delta.Range
	for _, m := range missing {
		ranges = append(ranges, delta.Range{File: f, Offset: m.Offset, Length: m.Length})
	}
	return ranges
}

// gambleShare is the part of the whole image that is spent on finding out whether another way costs
// less, when nothing but that can tell: in vain, it is spent beside the image.
const gambleShare = 16

const tooDear = "to find out whether it costs less takes too much of what it could save"

// gamble closes a way of which it is only hoped that it costs less than the whole image, when the
// hope is dear. Most is what the way may take at worst.
func (u *Update) gamble(w *delta.Way, most int64) {
	if w.Closed != "" || u.r.Route != "" || w.MetaBytes+most <= u.image.Size {
		return
	}
	if u.meta.spent()+w.MetaBytes > u.image.Size/gambleShare {
		w.Closed = tooDear
	}
}
