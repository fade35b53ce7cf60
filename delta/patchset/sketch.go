package patchset

import (
	"context"
	"slices"

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

// similar gives the most similar content of the old release for each content without a base.
func similar(ctx context.Context, from *mkimage.Recipe, old, new Contents,
	wanted []*chunkstore.Content) (
	map[*chunkstore.Content]*chunkstore.Content, error) {
	owners := make(map[uint64][]*chunkstore.Content) // the contents without a base that have a hash
	for _, c := range wanted {
		if c.Size < sketchLeast || c.Size > PieceMax {
			continue
		}
		b, err := readContent(ctx, new, c)
		if err != nil {
			return nil, err
		}
		for _, h := range makeSketch(b) {
			if len(owners[h]) < sketchOwners {
				owners[h] = append(owners[h], c)
			}
		}
	}
	found := make(map[*chunkstore.Content]*chunkstore.Content)
	best := make(map[*chunkstore.Content]int)
	read := int64(0)
	for c := range from.Contents() {
		if len(owners) == 0 || c.Size < sketchLeast || c.Size > PieceMax ||
			read+c.Size > sketchRead {
			continue
		}
		read += c.Size
		b, err := readContent(ctx, old, c)
		if err != nil {
			return nil, err
		}
		shared := make(map[*chunkstore.Content]int)
		for _, h := range makeSketch(b) {
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
