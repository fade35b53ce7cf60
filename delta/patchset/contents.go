package patchset

import (
	"context"
	"fmt"
	"io"
	"sort"

	"deltaup/chunkstore"
)

// FromStore opens contents whose chunks are in s.
func FromStore(s chunkstore.Store) Contents { return storeContents{s} }

type storeContents struct{ store chunkstore.Store }

// Open implements Contents.
func (s storeContents) Open(ctx context.Context, c *chunkstore.Content) (Reading, error) {
	r := &chunkReading{
		ctx:     ctx,
		store:   s.store,
		content: c,
		ends:    make([]int64, len(c.Chunks)),
		at:      -1,
	}
	end := int64(0)
	for i, k := range c.Chunks {
		end += k.Size
		r.ends[i] = end
	}
	return r, nil
}

// chunkReading reads a content chunk by chunk. It keeps the last chunk.
type chunkReading struct {
	ctx     context.Context
	store   chunkstore.Store
	content *chunkstore.Content
	ends    []int64
	at      int
	plain   []byte
}

// Close implements Reading.
func (r *chunkReading) Close() error { return nil }

// ReadAt implements io.ReaderAt, for one goroutine.
func (r *chunkReading) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	for i := sort.Search(len(r.ends), func(i int) bool { return r.ends[i] > off }); n < len(p); i++ {
		if i == len(r.ends) {
			return n, io.EOF
		}
		k := r.content.Chunks[i]
		begin := r.ends[i] - k.Size
		if k.IsHole() {
			m := int(min(int64(len(p)-n), r.ends[i]-off))
			clear(p[n : n+m])
			n, off = n+m, off+int64(m)
			continue
		}
		if r.at != i {
			plain, err := r.store.Chunk(r.ctx, k)
			if err != nil {
				return n, err
			}
			r.at, r.plain = i, plain
		}
		m := copy(p[n:], r.plain[off-begin:])
		n, off = n+m, off+int64(m)
	}
	return n, nil
}

// readContent reads all of c and verifies it.
func readContent(ctx context.Context, from Contents, c *chunkstore.Content) ([]byte, error) {
	b := make([]byte, c.Size)
	if err := readPart(ctx, from, c, b, 0); err != nil {
		return nil, err
	}
	if chunkstore.Sum(b) != c.ID {
		return nil, fmt.Errorf("content %v: %w: its bytes have another hash", c.ID,
			chunkstore.ErrCorrupt)
	}
	return b, nil
}

// readBoth takes room for that, and for what is made of it, and reads a new content and its base.
// release gives the room back; with an error there is none to give.
func (m *maker) readBoth(ctx context.Context, c, base *chunkstore.Content,
	room int64) (plain, old []byte, release func(), err error) {
	if release, err = m.room.take(ctx, room); err != nil {
		return nil, nil, nil, err
	}
	if plain, err = readContent(ctx, m.new, c); err == nil {
		old, err = readContent(ctx, m.old, base)
	}
	if err != nil {
		release()
		return nil, nil, nil, err
	}
	return plain, old, release, nil
}

// readPart fills b with the bytes of c from off on, unverified.
func readPart(ctx context.Context, from Contents, c *chunkstore.Content, b []byte,
	off int64) error {
	r, err := from.Open(ctx, c)
	if err != nil {
		return fmt.Errorf("open content %v: %w", c.ID, err)
	}
	defer r.Close() // nothing was written
	if n, err := r.ReadAt(b, off); n < len(b) {
		return fmt.Errorf("read content %v: %w", c.ID, err)
	}
	return nil
}
