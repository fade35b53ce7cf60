// Package blockmap cuts a squashfs image into pieces, each with a key. With them a target finds
// what another image stores in the images that it has, without decompressing anything. The cuts
// follow the image's stored blocks, so that equal blocks are pieces with equal keys, wherever they
// lie.
//
// [Make] makes the map of an image. A publisher stores the map of each image, and [Parse] reads it
// on a target. The pieces of a map, one after another, are the image. Format: doc/blockmap.md.
package blockmap

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"runtime"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"deltaup/chunkstore"
	"deltaup/mkimage/squashfs"
)

const (
	// pieceMin is the size, in bytes, from which on a block is a piece of its own.
	pieceMin = 4 << 10
	// PieceMax is the size, in bytes, of the largest piece: that of a squashfs block.
	PieceMax = squashfs.BlockSizeMax
)

// Key names a piece: the first eight bytes of the BLAKE3-256 of its bytes, little-endian. It serves
// to find pieces and to notice accidental damage. Only the hash of the whole image proves that the
// image is right.
type Key uint64

// KeyOf gives the key of the piece b.
func KeyOf(b []byte) Key {
	id := chunkstore.Sum(b)
	return Key(binary.LittleEndian.Uint64(id[:]))
}

// Piece is a run of an image's bytes.
type Piece struct {
	Offset int64 // in the image, in bytes
	Length int   // 1 to PieceMax
	Key    Key
}

// Map has the pieces of an image, which follow each other without gaps from its first byte to its
// last.
type Map struct {
	ends []int64
	keys []Key
}

// Len is the number of pieces.
func (m *Map) Len() int { return len(m.ends) }

// Piece gives piece i, counted from 0.
func (m *Map) Piece(i int) Piece {
	start := int64(0)
	if i > 0 {
		start = m.ends[i-1]
	}
	return Piece{Offset: start, Length: int(m.ends[i] - start), Key: m.keys[i]}
}

// Size is the number of bytes of the image.
func (m *Map) Size() int64 {
	if len(m.ends) == 0 {
		return 0
	}
	return m.ends[len(m.ends)-1]
}

// Lacking is how many bytes of the image lie in pieces that old lacks. old may be nil.
func (m *Map) Lacking(old *Map) int64 {
	has := map[Key]bool{}
	if old != nil {
		for _, k := range old.keys {
			has[k] = true
		}
	}
	n := int64(0)
	for i := range m.ends {
		if p := m.Piece(i); !has[p.Key] {
			n += int64(p.Length)
		}
	}
	return n
}

// Make maps an image: the first size bytes of r, from which m was opened. It reads all of them, on
// all processors. It cuts what lies behind the image's last table (a trailer, padding, the rest of
// a partition) like other bytes. Errors wrap squashfs.ErrCorrupt, or are those of ctx and r.
func Make(ctx context.Context, m *squashfs.Image, r io.ReaderAt, size int64) (*Map, error) {
	return newMap(ctx, m, size, func(p []byte, off int64) (bool, error) {
		n, err := r.ReadAt(p, off)
		if n == len(p) {
			return true, nil
		}
		if err == nil || err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return false, fmt.Errorf("read %d bytes at %d: %w", len(p), off, err)
	})
}

// Scan is [Make] for an image on a bad medium. A piece that cannot be read has the key 0; bad
// counts these.
func Scan(ctx context.Context, m *squashfs.Image, r io.ReaderAt,
	size int64) (_ *Map, bad int, err error) {
	var unread atomic.Int64
	b, err := newMap(ctx, m, size, func(p []byte, off int64) (bool, error) {
		if n, _ := r.ReadAt(p, off); n < len(p) {
			unread.Add(1)
			return false, nil
		}
		return true, nil
	})
	return b, int(unread.Load()), err
}

// newMap maps an image. read fills a buffer from an offset. When it gives false without an error,
// the piece gets the key 0.
func newMap(ctx context.Context, m *squashfs.Image, size int64,
	read func(p []byte, off int64) (bool, error)) (*Map, error) {
	ends, err := cut(ctx, m, size)
	if err != nil {
		return nil, fmt.Errorf("map image: %w", err)
	}
	b := &Map{ends: ends, keys: make([]Key, len(ends))}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	const batch = 64
	for first := 0; first < len(ends); first += batch {
		g.Go(func() error { return b.hash(ctx, read, first, min(first+batch, len(ends))) })
	}
	if err := g.Wait(); err != nil {
		return nil, fmt.Errorf("map image: %w", err)
	}
	return b, nil
}

// hash enters the keys of a share of the pieces.
func (m *Map) hash(ctx context.Context, read func([]byte, int64) (bool, error),
	first, end int) error {
	var buf []byte
	for i := first; i < end; i++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		p := m.Piece(i)
		if len(buf) < p.Length {
			buf = make([]byte, p.Length)
		}
		ok, err := read(buf[:p.Length], p.Offset)
		if err != nil {
			return err
		}
		if ok {
			m.keys[i] = KeyOf(buf[:p.Length])
		}
	}
	return nil
}
