package chunkstore

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/bits"

	"github.com/restic/chunker"
)

// Params says how contents are cut: the sizes of chunks, in bytes. It is part of a recipe.
type Params struct{ Min, Average, Max int }

// DefaultParams suits the contents of files. Its chunks are so small that a change in a large file
// costs little, and so large that each compresses well.
var DefaultParams = Params{Min: 16 << 10, Average: 64 << 10, Max: 512 << 10}

// Bounds of Params.
const (
	chunkMin = 64      // the length of the rolling window, which cuts nothing shorter
	ChunkMax = 8 << 20 // bounds the memory that one chunk takes anywhere
)

// polynomial is the irreducible polynomial of degree 53 over which the Rabin fingerprints are
// computed. It is the same everywhere, so that equal contents have equal chunks on every mirror. It
// is the first that chunker.DerivePolynomial finds in the BLAKE3 output stream of "deltaup chunking
// 1"; a test derives it again.
const polynomial = chunker.Pol(0x34f609e09505e3)

// Validate checks that the sizes lie within chunkMin and ChunkMax, ascend, and that the average is
// a power of two. Its error wraps [ErrCorrupt].
func (p Params) Validate() error {
	var what string
	switch {
	case p.Min < chunkMin || p.Max > ChunkMax:
		what = fmt.Sprintf("not within %d to %d bytes", chunkMin, ChunkMax)
	case p.Min > p.Average || p.Average > p.Max:
		what = "not in ascending order"
	case bits.OnesCount(uint(p.Average)) != 1:
		what = "the average is no power of two"
	default:
		return nil
	}
	return fmt.Errorf("chunk sizes %d/%d/%d: %w: %s", p.Min, p.Average, p.Max, ErrCorrupt, what)
}

// Splitter cuts contents into chunks. It can be used again and again, by one goroutine. Its memory
// is bounded by Params.Max, however large the content is.
type Splitter struct {
	params Params
	whole  *Hasher
	head   []byte           // the first Min+1 bytes: a content that ends before is too small to cut
	cutter *chunker.Chunker // made for the first content larger than Min
	buf    []byte           // of the current chunk
}

// NewSplitter returns a Splitter. It panics when p does not validate.
func NewSplitter(p Params) *Splitter {
	if err := p.Validate(); err != nil {
		panic(err)
	}
	return &Splitter{params: p, whole: NewHasher(), head: make([]byte, p.Min+1)}
}

// Split reads r to its end in one pass and returns its content: id, size and chunks. It makes one
// hole of neighbouring chunks that are all zeros.
//
// Split calls each, when it is not nil, for every chunk that is no hole, in order. plain is valid
// during the call only. Split returns errors of r and of each as they are.
func (s *Splitter) Split(r io.Reader, each func(c Chunk, plain []byte) error) (Content, error) {
	if each == nil {
		each = func(Chunk, []byte) error { return nil }
	}
	in := &source{r: r}
	n, err := io.ReadFull(in, s.head)
	if in.err != nil {
		return Content{}, in.err
	}
	if err != nil {
		return splitSmall(s.head[:n], each)
	}
	return s.splitLarge(io.MultiReader(bytes.NewReader(s.head), in), in, each)
}

// splitSmall is splitLarge for contents that are too small to be cut, as most files are.
func splitSmall(plain []byte, each func(Chunk, []byte) error) (Content, error) {
	c := Content{ID: Sum(plain), Size: int64(len(plain))}
	if c.Size == 0 {
		return c, nil
	}
	if isZero(plain) {
		c.Chunks = []Chunk{{Size: c.Size}}
		return c, nil
	}
	c.Chunks = []Chunk{{ID: c.ID, Size: c.Size}}
	if err := each(c.Chunks[0], plain); err != nil {
		return Content{}, err
	}
	return c, nil
}

func (s *Splitter) splitLarge(r io.Reader, in *source,
	each func(Chunk, []byte) error) (Content, error) {
	s.reset(r)
	var c Content
	for {
		cut, err := s.cutter.Next(s.buf)
		if err == io.EOF {
			break
		}
		if err != nil {
			if in.err != nil {
				err = in.err
			}
			return Content{}, err
		}
		s.buf = cut.Data[:0]
		chunk := s.add(&c, cut.Data)
		if chunk.IsHole() {
			continue
		}
		if err := each(chunk, cut.Data); err != nil {
			return Content{}, err
		}
	}
	if len(c.Chunks) == 1 && !c.Chunks[0].IsHole() {
		c.ID = c.Chunks[0].ID
	} else {
		c.ID = s.whole.ID()
	}
	return c, nil
}

// reset points the cutter at r. The cutter keeps its tables and its buffer.
func (s *Splitter) reset(r io.Reader) {
	low, high := uint(s.params.Min), uint(s.params.Max)
	if s.cutter == nil {
		s.cutter = chunker.NewWithBoundaries(r, polynomial, low, high)
	} else {
		s.cutter.ResetWithBoundaries(r, polynomial, low, high)
	}
	s.cutter.SetAverageBits(bits.TrailingZeros(uint(s.params.Average)))
	s.whole.Reset()
}

// add appends a piece to c and returns its chunk.
func (s *Splitter) add(c *Content, plain []byte) Chunk {
	first := c.Size == 0
	chunk := Chunk{Size: int64(len(plain))}
	c.Size += chunk.Size
	s.whole.Write(plain)
	switch {
	case isZero(plain):
		if n := len(c.Chunks); n > 0 && c.Chunks[n-1].IsHole() {
			c.Chunks[n-1].Size += chunk.Size
			return chunk
		}
	case first: // s.whole has hashed this chunk and nothing else
		chunk.ID = s.whole.ID()
	default:
		chunk.ID = Sum(plain)
	}
	c.Chunks = append(c.Chunks, chunk)
	return chunk
}

// source remembers the error of a reader. io.ReadFull and the chunker take io.ErrUnexpectedEOF for
// the end of the content, but a reader of a truncated stream means an error by it.
type source struct {
	r   io.Reader
	err error // nil at io.EOF
}

var errSource = errors.New("reading the content failed")

func (s *source) Read(p []byte) (int, error) {
	if s.err != nil {
		return 0, errSource
	}
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
		return n, errSource
	}
	return n, err
}

// isZero tells whether p is all zeros. It compares p with itself one byte on, which runs at the
// speed of memcmp.
func isZero(p []byte) bool {
	return len(p) == 0 || p[0] == 0 && bytes.Equal(p[:len(p)-1], p[1:])
}
