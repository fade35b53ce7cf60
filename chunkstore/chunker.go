package chunkstore

import (
	"fmt"
	"io"
	"math/bits"
)

// Params says how contents are cut; all in bytes. It is part of a recipe.
type Params struct{ Min, Average, Max int }

// DefaultParams suits file contents: small enough that a change in a large file
// costs little, large enough that a chunk compresses.
var DefaultParams = Params{Min: 16 << 10, Average: 64 << 10, Max: 512 << 10}

// Bounds of Params.
const (
	ChunkMin = 64      // the rolling window: nothing shorter can be cut by it
	ChunkMax = 8 << 20 // bounds the memory that one chunk takes anywhere
)

// Validate tells whether contents can be cut like that.
func (p Params) Validate() error {
	switch {
	case p.Min < ChunkMin || p.Max > ChunkMax:
		return fmt.Errorf("chunking %d/%d/%d: %w: not within %d to %d bytes", p.Min, p.Average, p.Max, ErrCorrupt, ChunkMin, ChunkMax)
	case p.Min > p.Average || p.Average > p.Max:
		return fmt.Errorf("chunking %d/%d/%d: %w: not in ascending order", p.Min, p.Average, p.Max, ErrCorrupt)
	case bits.OnesCount(uint(p.Average)) != 1:
		return fmt.Errorf("chunking %d/%d/%d: %w: the average is no power of two", p.Min, p.Average, p.Max, ErrCorrupt)
	}
	return nil
}

// Splitter cuts contents into chunks. It is reusable and not for concurrent use;
// its memory is bounded by Params.Max and independent of the content's size.
type Splitter struct {
	params Params
}

// NewSplitter returns a Splitter. It panics on Params that do not validate.
func NewSplitter(p Params) *Splitter {
	panic("unbuilt")
}

// Split reads r to its end in one pass and returns its content: id, size and chunks.
// Neighbouring chunks that are wholly zero come as one hole.
//
// each, when it is not nil, is called for every chunk but holes, in order; plain is
// only valid during the call. Errors of r and of each are returned wrapped.
func (s *Splitter) Split(r io.Reader, each func(c Chunk, plain []byte) error) (Content, error) {
	panic("unbuilt")
}
