package apply

import (
	"context"
	"io"

	"golang.org/x/sync/errgroup"

	"deltaup/chunkstore"
	"deltaup/internal/medium"
)

// What readBack reads at once, in bytes, and how many of these are under way.
const (
	backSize    = 1 << 20
	backBuffers = 3
)

// readBack hashes size bytes that read gives, which is a ReadAt and is called with aligned buffers.
// It reads on while it hashes. Unless it is nil, seen is shown all bytes in order before they are
// hashed, and may change them.
func readBack(ctx context.Context, size int64, read func(p []byte, off int64) (int, error),
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
