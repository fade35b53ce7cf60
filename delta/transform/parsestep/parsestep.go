// Package parsestep has what the steps of parses share: what an encoder decided for a content is
// coded for one who has that of a content that resembles it. [Coder] codes bits by mixed
// probabilities, [Alignment] leads from one content to the other, and [Recent] finds matches as an
// encoder does.
//
// The packages zstdparse and lzmaparse make steps of it. A target must read what any publisher has
// written, so what these types do with given arguments never changes.
package parsestep

// Limits of contents and of their alignment.
const (
	ContentMax = 64 << 20 // bytes of a content
	copiesMax  = 1 << 17
)

// Sizes are the lengths of the tables of a step, as powers of two.
type Sizes struct {
	Slots  int // of probabilities
	Heads  int // of each chain
	Window int // positions of a chain, at most
}

// Truth is 1 for true, as a part of a context.
func Truth(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}

// bucket is a small number for a length, as a part of a context: below 16.
func bucket(n int) uint32 {
	switch {
	case n < 12:
		return uint32(n)
	case n < 16:
		return 12
	case n < 24:
		return 13
	case n < 48:
		return 14
	}
	return 15
}
