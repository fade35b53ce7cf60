package patchset

import (
	"context"
	"slices"

	"golang.org/x/sync/errgroup"

	"deltaup/chunkstore"
	"deltaup/mkimage"
)

const (
	sketchSize   = 16       // hashes kept of a content
	sketchSample = 1<<6 - 1 // one rolling hash in 64 is in the sample
	sketchWindow = 32       // bytes of a rolling hash
	sketchLeast  = 256      // bytes of the smallest content that gets a sketch
	sketchShared = 3        // least number of common hashes for a base
	// most contents for one hash: a hash that more share says little about each
	sketchOwners = 256
	sketchRead   = 2 << 30 // most bytes of the old release that similar reads
)

// sketch holds the smallest hashes in a sample of the hashes of all windows of a content. Contents
// with many common bytes have some of them in common.
type sketch []uint64

// mix gives the pseudo-random number of a byte for the rolling hash.
func mix(v uint64) uint64 {
	v = (v + 1) * 0x9e3779b97f4a7c15
	v ^= v >> 29
	v *= 0xbf58476d1ce4e5b9
	return v ^ v>>32
}

var byteMix = func() (t [256]uint64) {
	for i := range t {
		t[i] = mix(uint64(i))
	}
	return t
}()

func makeSketch(b []byte) sketch {
	var s sketch
	hash := uint64(0)
	for i, c := range b {
		hash = hash<<1 ^ hash>>63 ^ byteMix[c] // a cyclic polynomial
		if i >= sketchWindow {
			old := byteMix[b[i-sketchWindow]]
			hash ^= old<<sketchWindow | old>>(64-sketchWindow)
		}
		if hash&sketchSample != 0 || i < sketchWindow {
			continue
		}
		h := mix(hash)
		if len(s) == sketchSize && h >= s[len(s)-1] {
			continue
		}
		if at, there := slices.BinarySearch(s, h); !there {
			s = slices.Insert(s, at, h)
			s = s[:min(len(s), sketchSize)]
		}
	}
	return s
}

// search finds bases for new contents that have no likely one.
type search struct {
	wanted []*chunkstore.Content // those new contents
	olds   []*chunkstore.Content // contents of the old release; none: none are wanted
}

func newSearch(from *mkimage.Recipe, l *listing) (s search) {
	for i, c := range l.contents {
		if l.patterns[i] == nil && sketched(c) {
			s.wanted = append(s.wanted, c)
		}
	}
	if len(s.wanted) == 0 {
		return s
	}
	read := int64(0)
	for c := range from.Contents() {
		if sketched(c) && read+c.Size <= sketchRead {
			read += c.Size
			s.olds = append(s.olds, c)
		}
	}
	return s
}

// sketched tells whether a content gets a sketch.
func sketched(c *chunkstore.Content) bool { return c.Size >= sketchLeast && c.Size <= PieceMax }

// size is how many bytes run reads at most.
func (s *search) size() (n int64) {
	for _, c := range s.wanted {
		n += c.Size
	}
	for _, c := range s.olds {
		n += c.Size
	}
	return n
}

// run gives the most similar content of the old release for each wanted content. did is told of the
// bytes of each content that was read.
func (s *search) run(ctx context.Context, old, new Contents, workers int,
	did func(read int64)) (map[*chunkstore.Content]*chunkstore.Content, error) {
	wanted, err := sketches(ctx, new, s.wanted, workers, did)
	if err != nil {
		return nil, err
	}
	owners := make(map[uint64][]*chunkstore.Content) // the wanted contents that have a hash
	for i, c := range s.wanted {
		for _, h := range wanted[i] {
			if len(owners[h]) < sketchOwners {
				owners[h] = append(owners[h], c)
			}
		}
	}
	found := make(map[*chunkstore.Content]*chunkstore.Content)
	best := make(map[*chunkstore.Content]int)
	if len(owners) == 0 {
		return found, nil
	}
	olds, err := sketches(ctx, old, s.olds, workers, did)
	if err != nil {
		return nil, err
	}
	for i, c := range s.olds {
		shared := make(map[*chunkstore.Content]int)
		for _, h := range olds[i] {
			for _, w := range owners[h] {
				shared[w]++
			}
		}
		for w, n := range shared {
			if n >= sketchShared && n > best[w] {
				best[w], found[w] = n, c
			}
		}
	}
	return found, nil
}

// sketches reads contents and gives their sketches.
func sketches(ctx context.Context, from Contents, list []*chunkstore.Content, workers int,
	did func(read int64)) ([]sketch, error) {
	made := make([]sketch, len(list))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(workers)
	for i, c := range list {
		g.Go(func() error {
			b, err := readContent(ctx, from, c)
			if err == nil {
				made[i] = makeSketch(b)
				did(c.Size)
			}
			return err
		})
	}
	return made, g.Wait()
}
