package chunkstore

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/restic/chunker"
	"github.com/zeebo/blake3"
)

// randomBytes gives the same n bytes for the same seed, everywhere.
func randomBytes(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 0))
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(r.Uint32())
	}
	return p
}

func TestPolynomial(t *testing.T) {
	h := blake3.New()
	h.WriteString("deltaup chunking 1")
	want, err := chunker.DerivePolynomial(h.Digest())
	if err != nil || want != polynomial {
		t.Errorf("derived %#x, %v; the program has %#x", uint64(want), err, uint64(polynomial))
	}
	if !polynomial.Irreducible() || polynomial.Deg() != 53 {
		t.Error("it is not irreducible of degree 53")
	}
}

func TestParams(t *testing.T) {
	for _, p := range []Params{DefaultParams, {64, 64, 64}, {64, 1 << 10, ChunkMax}, {100, 128, 1000}} {
		if err := p.Validate(); err != nil {
			t.Errorf("%v: %v", p, err)
		}
	}
	for _, p := range []Params{{}, {63, 64, 64}, {64, 64, ChunkMax + 1}, {128, 64, 256}, {64, 256, 128}, {64, 100, 256}, {-64, 64, 64}} {
		if err := p.Validate(); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%v: %v, want ErrCorrupt", p, err)
		}
	}
}

// splitPlainly is Split without its shortcuts: it sends every content through the chunker and
// computes every hash by itself.
func splitPlainly(t *testing.T, p Params, data []byte) Content {
	t.Helper()
	c := Content{ID: Sum(data), Size: int64(len(data))}
	r := chunker.NewWithBoundaries(bytes.NewReader(data), polynomial, uint(p.Min), uint(p.Max))
	r.SetAverageBits(bits.TrailingZeros(uint(p.Average)))
	for {
		cut, err := r.Next(nil)
		if err == io.EOF {
			return c
		}
		if err != nil {
			t.Fatal(err)
		}
		chunk := Chunk{Size: int64(cut.Length)}
		if len(bytes.Trim(cut.Data, "\x00")) > 0 {
			chunk.ID = Sum(cut.Data)
		} else if n := len(c.Chunks); n > 0 && c.Chunks[n-1].IsHole() {
			c.Chunks[n-1].Size += chunk.Size
			continue
		}
		c.Chunks = append(c.Chunks, chunk)
	}
}

func TestSplit(t *testing.T) {
	p := Params{Min: 1 << 10, Average: 4 << 10, Max: 16 << 10}
	zero, random := make([]byte, 300<<10), randomBytes(1, 3<<20)
	contents := map[string][]byte{
		"empty":              nil,
		"one byte":           {7},
		"one zero":           {0},
		"min-1":              random[:p.Min-1],
		"min":                random[:p.Min],
		"min+1":              random[:p.Min+1],
		"min zeros":          zero[:p.Min],
		"min+1 zeros":        zero[:p.Min+1],
		"one chunk":          random[:p.Min+200],
		"a chunker's buffer": random[:512<<10],
		"large":              random,
		"all zero":           zero,
		"nearly zero":        append(slices.Clone(zero), 1),
		"holes":              slices.Concat(random[:100_000], zero, random[100_000:200_000], zero, random[:50_000]),
		"hole first":         slices.Concat(zero, random[:100_000]),
		"constant":           bytes.Repeat([]byte{0xff}, 100<<10),
	}
	// one for all contents, to show that a content leaves nothing behind for the next
	s := NewSplitter(p)
	for name, data := range contents {
		t.Run(name, func(t *testing.T) {
			want := splitPlainly(t, p, data)
			for kind, r := range map[string]io.Reader{
				"whole": bytes.NewReader(data),
				"half":  iotest.HalfReader(bytes.NewReader(data)),
				"eof":   iotest.DataErrReader(bytes.NewReader(data)),
			} {
				var got []byte
				var pieces []Chunk
				c, err := s.Split(r, func(c Chunk, plain []byte) error {
					pieces = append(pieces, c)
					got = append(got, plain...)
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
				if !equalContent(c, want) {
					t.Errorf("%s reader: got %s, want %s", kind, describe(c), describe(want))
				}
				checkPieces(t, c, pieces, got, data)
			}
		})
	}
}

// checkPieces demands that data consists of the holes and of the chunks that Split called each
// with.
func checkPieces(t *testing.T, c Content, pieces []Chunk, plain, data []byte) {
	t.Helper()
	var again []byte
	for _, chunk := range c.Chunks {
		if chunk.IsHole() {
			again = append(again, make([]byte, chunk.Size)...)
			continue
		}
		if len(pieces) == 0 || pieces[0] != chunk || Sum(plain[:chunk.Size]) != chunk.ID {
			t.Fatalf("chunk %v is not what each got", chunk)
		}
		again = append(again, plain[:chunk.Size]...)
		pieces, plain = pieces[1:], plain[chunk.Size:]
	}
	if !bytes.Equal(again, data) || len(pieces) > 0 {
		t.Error("the chunks do not make up the content")
	}
}

func equalContent(a, b Content) bool {
	return a.ID == b.ID && a.Size == b.Size && slices.Equal(a.Chunks, b.Chunks)
}

func describe(c Content) string {
	s := fmt.Sprintf("%.8s %d:", c.ID, c.Size)
	for _, chunk := range c.Chunks {
		s += fmt.Sprintf(" %.4s/%d", chunk.ID, chunk.Size)
	}
	return s
}

// TestSplitFixed pins where the default parameters cut. A change here makes every chunk on every
// mirror useless.
func TestSplitFixed(t *testing.T) {
	c, err := NewSplitter(DefaultParams).Split(bytes.NewReader(randomBytes(42, 1<<20)), nil)
	if err != nil {
		t.Fatal(err)
	}
	var sizes []int64
	for _, chunk := range c.Chunks {
		sizes = append(sizes, chunk.Size)
	}
	want := []int64{21219, 79807, 61002, 38107, 64449, 157100, 174425, 98275, 52296, 89394, 120364, 36801, 35660, 19677}
	if !slices.Equal(sizes, want) {
		t.Errorf("cut into %d, want %d", sizes, want)
	}
}

// TestSplitShift demands that an insertion changes only the chunks around it.
func TestSplitShift(t *testing.T) {
	old := randomBytes(3, 4<<20)
	edited := slices.Concat(old[:1<<20], []byte("inserted"), old[1<<20:])
	s := NewSplitter(DefaultParams)
	have := map[ID]bool{}
	if _, err := s.Split(bytes.NewReader(old), func(c Chunk, _ []byte) error { have[c.ID] = true; return nil }); err != nil {
		t.Fatal(err)
	}
	fresh := 0
	if _, err := s.Split(bytes.NewReader(edited), func(c Chunk, _ []byte) error {
		if !have[c.ID] {
			fresh++
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if fresh < 1 || fresh > 3 {
		t.Errorf("%d of about %d chunks are new, want 1 to 3", fresh, len(have))
	}
}

func TestSplitErrors(t *testing.T) {
	errRead := errors.New("disk on fire")
	data := randomBytes(4, 700<<10)
	s := NewSplitter(DefaultParams)
	for _, n := range []int{0, 100, DefaultParams.Min, DefaultParams.Min + 1, 512 << 10, len(data)} {
		// io.ErrUnexpectedEOF is how a truncated gzip stream ends
		for _, want := range []error{errRead, io.ErrUnexpectedEOF} {
			_, err := s.Split(io.MultiReader(bytes.NewReader(data[:n]), iotest.ErrReader(want)), nil)
			if err != want {
				t.Errorf("failing after %d bytes: %v, want %v", n, err, want)
			}
		}
		if n > 0 {
			_, err := s.Split(bytes.NewReader(data[:n]), func(Chunk, []byte) error { return errRead })
			if err != errRead {
				t.Errorf("each fails: %v, want %v", err, errRead)
			}
		}
	}
}

func BenchmarkSplit(b *testing.B) {
	for _, size := range []int{1 << 10, 12 << 10, 40 << 10, 256 << 10, 16 << 20} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			data := randomBytes(5, size)
			s := NewSplitter(DefaultParams)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Split(bytes.NewReader(data), nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
