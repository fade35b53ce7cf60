package patchset

import (
	"context"
	"fmt"
	"runtime"

	"deltaup/chunkstore"
	"deltaup/delta/suffix"
)

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
	if p, err := m.program(ctx, c, base); err != nil || p != nil {
		return p.found(), err
	}
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
	x, begin, length := m.matcher(nil, 0), int64(-1), int64(0)
	var old []byte
	total, toCode := 0, int64(0)
	for off := int64(0); off < c.Size; off += largePiece {
		plain := make([]byte, min(largePiece, c.Size-off))
		if err := readPart(ctx, m.new, c, plain, off); err != nil {
			return nil, err
		}
		if base != nil {
			at, n := windowOf(base.Size, off, int64(len(plain)), c.Size)
			if at != begin || n != length {
				begin, length, x, old = at, n, nil, nil
				// free the last index before making the next: an index takes most of the memory
				runtime.GC()
				old = make([]byte, n)
				if err := readPart(ctx, m.old, base, old, at); err != nil {
					return nil, err
				}
				x = m.matcher(old, at)
			}
		}
		s, cost := x.diff(plain, func() {})
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
		n := coded(int64(s.Len()), cost)
		toCode += n
		m.progress.matched(e.Length, n, e.Length)
		if total += s.Len(); total > largeMax {
			rest := c.Size - off - e.Length
			m.progress.matched(rest, -toCode, rest) // nothing is kept
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
	s, cost := m.matcher(old, begin).diff(plain, func() {})
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
	return checkPatched(got, err, plain)
}

// shifted reads a window of a content by offsets in the whole content.
type shifted struct {
	window Bytes
	begin  int64
}

// ReadAt implements io.ReaderAt.
func (s shifted) ReadAt(p []byte, off int64) (int, error) {
	if off < s.begin {
		return 0, fmt.Errorf("%w: a copy from before the window", chunkstore.ErrCorrupt)
	}
	return s.window.ReadAt(p, off-s.begin)
}
