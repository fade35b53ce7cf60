package patchset

import (
	"sync"

	"deltaup/chunkstore"
	"deltaup/delta/suffix"
	"deltaup/delta/transform"
)

// matcher makes patches from an old content, or a window of one. It sorts that when a patch is not
// in the cache. Several goroutines may use it.
type matcher struct {
	cache cache
	old   []byte
	at    int64 // position of old in the old content
	index func() *suffix.Index
	id    func() chunkstore.ID // of old
}

func (m *maker) matcher(old []byte, at int64) *matcher {
	return &matcher{
		cache: m.cache, old: old, at: at,
		index: sync.OnceValue(func() *suffix.Index { return suffix.NewIndex(old, at) }),
		id:    sync.OnceValue(func() chunkstore.ID { return chunkstore.Sum(old) }),
	}
}

// diff makes a patch with each gain and gives the one with the smaller estimate, and the estimate.
// It calls step when it has sorted old, and after the first patch, which takes longest.
func (x *matcher) diff(plain []byte, step func()) (suffix.Streams, int64) {
	key := x.cache.patchKey(x, plain)
	if s, ok := x.cache.patch(key, x, plain); ok {
		return s, estimate(&s)
	}
	s, cost := x.smallest(plain, step)
	x.cache.keepPatch(key, &s, len(plain))
	return s, cost
}

func (x *matcher) smallest(plain []byte, step func()) (suffix.Streams, int64) {
	search := x.index().Search(plain)
	step()
	s := search.Diff(suffix.ProgramGain)
	step()
	cost := estimate(&s)
	if len(s[suffix.Literals]) == len(plain) {
		return s, cost // no match at all
	}
	other := search.Diff(suffix.TextGain)
	if c := estimate(&other); c < cost {
		return other, c
	}
	return s, cost
}

// copies tells what patches of pieces copy, in few long runs.
func (x *matcher) copies(plain []byte) (list []transform.Copy) {
	for at := 0; at < len(plain); at += largePiece {
		s := x.index().Search(plain[at:min(at+largePiece, len(plain))]).Diff(suffix.TextGain)
		for c := range s.Copies() {
			list = append(list, transform.Copy{New: at + c.New, Old: c.Old, Size: c.Size})
		}
	}
	return list
}
