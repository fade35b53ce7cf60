package slotwriter

import (
	"context"
	"io"

	"golang.org/x/sync/errgroup"

	"deltaup/chunkstore"
	"deltaup/internal/medium"
)

// What ReadBack reads at once, in bytes, and how many of these are under way.
const (
	backSize    = 1 << 20
	backBuffers = 3
)

// ReadBack hashes the size bytes that read gives. It calls read, which is a ReadAt, with aligned
// buffers, and goes on reading while it hashes. Unless it is nil, seen sees all bytes in order
// before they are hashed, and may change them.
func ReadBack(ctx context.Context, size int64, read func(p []byte, off int64) (int, error),
	seen func(p []byte, off int64)) (chunkstore.ID, error) {
	h := chunkstore.NewHasher()
	free, full := make(chan []byte, backBuffers), make(chan []byte, backBuffers)
	for range backBuffers {
		free <- medium.Buffer(backSize)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(full)
		for off := int64(0); off < size; off += backSize {
			var p []byte
			select {
			case p = <-free:
			case <-ctx.Done():
				return ctx.Err()
			}
			p = p[:min(backSize, size-off)]
			if n, err := read(p, off); n < len(p) {
				if err == nil || err == io.EOF {
					err = io.ErrUnexpectedEOF
				}
				return err
			}
			full <- p
		}
		return nil
	})
	off := int64(0)
	for p := range full {
		if seen != nil {
			seen(p, off)
		}
		h.Write(p)
		off += int64(len(p))
		free <- p[:cap(p)]
	}
	if err := g.Wait(); err != nil {
		return chunkstore.ID{}, err
	}
	return h.ID(), nil
}
