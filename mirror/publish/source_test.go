package publish_test

import (
	"bytes"
	"context"
	"io"

	"deltaup/chunkstore"
)

// chunkSource is a mkimage.Source of nothing but a store's chunks.
type chunkSource struct{ store chunkstore.Store }

func (s chunkSource) Open(ctx context.Context, c *chunkstore.Content) (io.ReadCloser, error) {
	var plain bytes.Buffer
	for _, ch := range c.Chunks {
		if ch.IsHole() {
			plain.Write(make([]byte, ch.Size))
			continue
		}
		b, err := s.store.Chunk(ctx, ch)
		if err != nil {
			return nil, err
		}
		plain.Write(b)
	}
	return io.NopCloser(&plain), nil
}
