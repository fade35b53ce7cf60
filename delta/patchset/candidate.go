package patchset

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"github.com/klauspost/compress/zstd"

	"deltaup/chunkstore"
	"deltaup/delta/suffix"
	"deltaup/delta/transform"
)

// candidate is one way to make a content: an entry and its patch, or several of each for a large
// content.
type candidate struct {
	entries []Entry
	streams []suffix.Streams
	cost    int64 // estimated stored bytes
	chunks  int64 // bytes that the content costs by chunks, see MakeOptions.ChunkCost
}

// estimator is faster than the coders. Its results only serve comparisons.
var estimator = sync.OnceValue(func() *zstd.Encoder {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBetterCompression),
		zstd.WithEncoderConcurrency(2), zstd.WithEncoderCRC(false))
	if err != nil {
		panic(err) // constant options
	}
	return e
})

// estimate is about how many bytes s takes when it is compressed alone.
func estimate(s *suffix.Streams) int64 {
	const frame = 8 // bytes of a frame's header and end, which a stream in a group lacks
	n := int64(0)
	for _, p := range s {
		if len(p) > 0 {
			n += max(1, min(int64(len(p)), int64(len(estimator().EncodeAll(p, nil)))-frame))
		}
	}
	return n
}

// best gives the cheapest candidate for content i, or nil when no candidate fits a group.
func (m *maker) best(ctx context.Context, i int) (*candidate, error) {
	c, base := m.contents[i], m.patterns[i]
	if base == nil {
		base = m.similar[c]
	}
	var found *candidate
	var err error
	if pieces(c) > 1 {
		found, err = m.large(ctx, c, base)
	} else {
		found, err = m.small(ctx, m.paths[i], c, base)
	}
	if err != nil {
		return nil, fmt.Errorf("/%s: %w", m.paths[i], err)
	}
	if found == nil || found.tooLong() {
		return nil, nil
	}
	if m.o.ChunkCost != nil {
		found.chunks = m.o.ChunkCost(c) + int64(len(c.Chunks))*chunkListed
	}
	return found, nil
}

// tooLong tells whether a patch of c is longer than a group may be.
func (c *candidate) tooLong() bool {
	return slices.ContainsFunc(c.streams,
		func(s suffix.Streams) bool { return s.Len() > groupPlainMax })
}

// small makes the candidate of a content of at most PieceMax bytes.
func (m *maker) small(ctx context.Context, path string,
	c, base *chunkstore.Content) (*candidate, error) {
	plain, err := readContent(ctx, m.new, c)
	if err != nil {
		return nil, err
	}
	var old []byte
	if base != nil {
		if old, err = m.window(ctx, base, 0, c.Size, c.Size); err != nil {
			return nil, err
		}
		if base.Size > suffix.WindowMax {
			return m.windowed(ctx, c, base, plain, old)
		}
	}
	e := Entry{Content: c, Base: base, Length: c.Size, hash: c.ID}
	best, err := m.candidate(ctx, newForm(path, e, old, plain))
	if err != nil {
		return nil, err
	}
	if base != nil && best.poor() {
		e.Base = nil
		whole, err := m.candidate(ctx, newForm(path, e, nil, plain))
		if err != nil {
			return nil, err
		}
		best = cheaper(best, whole)
	}
	return best, best.check(old, plain)
}

// poor tells whether so many bytes of a content with one entry are literals that it may cost less
// without a base.
func (c *candidate) poor() bool {
	return float64(len(c.streams[0][suffix.Literals])) > 0.2*float64(c.entries[0].length)
}

// cheaper gives the candidate with the smaller estimate, or a when they are equal.
func cheaper(a, b *candidate) *candidate {
	if b.cost < a.cost {
		return b
	}
	return a
}

// form is an entry with the bytes of its base and its content, both as they are or both
// transformed.
type form struct {
	entry      Entry
	old, plain []byte
}

// newForm gives the form in which an entry's patch is made: transformed if a transform applies to
// both sides, else as they are. It does not try both, which takes long, since a transform that
// applies hardly ever does harm.
func newForm(path string, e Entry, old, plain []byte) form {
	f := form{e, old, plain}
	for _, id := range transform.For(path, plain) {
		if t, ok := f.transformed(id); ok {
			return t
		}
	}
	return f
}

// transformed transforms both sides of f. ok is false when the transform does not apply.
func (f form) transformed(id uint8) (_ form, ok bool) {
	t, ok := transform.ByID(id)
	if !ok || f.entry.Base != nil && f.entry.Base.Size > PieceMax {
		return f, false
	}
	f.entry.Transform = id
	if f.plain, ok = transform.Exact(t, f.plain); !ok || len(f.plain) > suffix.NewMax {
		return f, false
	}
	if f.entry.Base != nil {
		f.old, ok = transform.Exact(t, f.old)
	}
	return f, ok && len(f.old) <= suffix.NewMax
}

// candidate makes the candidate of f.
func (m *maker) candidate(ctx context.Context, f form) (*candidate, error) {
	release, err := m.room.take(ctx, searchRoom(len(f.old), len(f.plain)))
	if err != nil {
		return nil, err
	}
	defer release()
	f.entry.length = int64(len(f.plain))
	s, cost := smallestDiff(suffix.NewIndex(f.old, 0), f.plain)
	return &candidate{entries: []Entry{f.entry}, streams: []suffix.Streams{s}, cost: cost}, nil
}

// smallestDiff makes a patch with each gain and gives the one with the smaller estimate, and the
// estimate.
func smallestDiff(x *suffix.Index, plain []byte) (suffix.Streams, int64) {
	search := x.Search(plain)
	s := search.Diff(suffix.ProgramGain)
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

// check applies a candidate of one entry and demands that it gives plain.
func (c *candidate) check(old, plain []byte) error {
	e := &c.entries[0]
	g := Group{step: &Step{Entries: c.entries}, patches: c.streams}
	got, err := g.content(0, e, Bytes(old))
	return c.verify(got, err, plain)
}

// window reads the window of base for the piece of size bytes at offset in a content of total
// bytes.
func (m *maker) window(ctx context.Context, base *chunkstore.Content,
	offset, size, total int64) ([]byte, error) {
	if base.Size <= PieceMax {
		return readContent(ctx, m.old, base)
	}
	begin, length := windowOf(base.Size, offset, size, total)
	b := make([]byte, length)
	return b, readPart(ctx, m.old, base, b, begin)
}

// windowOf gives the window of a base for a piece: at most suffix.WindowMax bytes around the place
// where the piece would lie if the base were scaled to the content's size. Windows lie on a grid,
// so that neighbouring pieces share them.
func windowOf(base, offset, size, total int64) (begin, length int64) {
	const grid = suffix.WindowMax / 2
	if base <= suffix.WindowMax {
		return 0, base
	}
	middle := int64(float64(offset+size/2) / float64(total) * float64(base))
	begin = min(max(0, middle-grid/2)/grid*grid, (base-suffix.WindowMax+grid-1)/grid*grid)
	return begin, min(suffix.WindowMax, base-begin)
}

// largeMax bounds the bytes of one large content's streams, which are in memory. A content with
// more new bytes comes in chunks.
const largeMax = 512 << 20

// large makes the candidate of a content above PieceMax.
func (m *maker) large(ctx context.Context, c, base *chunkstore.Content) (*candidate, error) {
	window := 0
	if base != nil {
		window = int(min(base.Size, suffix.WindowMax))
	}
	release, err := m.room.take(ctx, searchRoom(window, largePiece))
	if err != nil {
		return nil, err
	}
	defer release()
	found := new(candidate)
	index, begin, length := suffix.NewIndex(nil, 0), int64(-1), int64(0)
	var old []byte
	total := 0
	for off := int64(0); off < c.Size; off += largePiece {
		plain := make([]byte, min(largePiece, c.Size-off))
		if err := readPart(ctx, m.new, c, plain, off); err != nil {
			return nil, err
		}
		if base != nil {
			at, n := windowOf(base.Size, off, int64(len(plain)), c.Size)
			if at != begin || n != length {
				begin, length, index, old = at, n, nil, nil
				// free the last index before making the next: an index takes most of the memory
				runtime.GC()
				old = make([]byte, n)
				if err := readPart(ctx, m.old, base, old, at); err != nil {
					return nil, err
				}
				index = suffix.NewIndex(old, at)
			}
		}
		s, cost := smallestDiff(index, plain)
		e := Entry{
			Content: c,
			Base:    base,
			Offset:  off,
			Length:  int64(len(plain)),
			length:  int64(len(plain)),
			hash:    chunkstore.Sum(plain),
		}
		if err := checkPiece(&e, &s, shifted{old, begin}, plain); err != nil {
			return nil, err
		}
		found.entries = append(found.entries, e)
		found.streams = append(found.streams, s)
		found.cost += cost
		if total += s.Len(); total > largeMax {
			return nil, nil
		}
	}
	return found, nil
}

// windowed is small for a content whose base is larger than a window.
func (m *maker) windowed(ctx context.Context, c, base *chunkstore.Content,
	plain, old []byte) (*candidate, error) {
	release, err := m.room.take(ctx, searchRoom(len(old), len(plain)))
	if err != nil {
		return nil, err
	}
	defer release()
	begin, _ := windowOf(base.Size, 0, c.Size, c.Size)
	s, cost := smallestDiff(suffix.NewIndex(old, begin), plain)
	e := Entry{Content: c, Base: base, Length: c.Size, length: c.Size, hash: c.ID}
	if err := checkPiece(&e, &s, shifted{old, begin}, plain); err != nil {
		return nil, err
	}
	return &candidate{entries: []Entry{e}, streams: []suffix.Streams{s}, cost: cost}, nil
}

// checkPiece applies a patch without a transform and demands that it gives plain.
func checkPiece(e *Entry, s *suffix.Streams, old shifted, plain []byte) error {
	size := int64(0)
	if e.Base != nil {
		size = e.Base.Size
	}
	got, err := suffix.Patch(nil, old, size, *s, e.length)
	if err == nil && !slices.Equal(got, plain) {
		err = fmt.Errorf("%w: the patch gives other bytes", chunkstore.ErrCorrupt)
	}
	return err
}

// shifted reads a window of a content by offsets in the whole content.
type shifted struct {
	window Bytes
	begin  int64
}

// ReadAt implements io.ReaderAt.
func (s shifted) ReadAt(p []byte, off int64) (int, error) { return s.window.ReadAt(p, off-s.begin) }
