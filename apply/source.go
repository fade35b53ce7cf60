package apply

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"deltaup/apply/cache"
	"deltaup/chunkstore"
	"deltaup/mkimage"
)

// source gives the contents of a release from seeds and cache. It is a mkimage.Source;
// every chunk is verified by its id on its way.
type source struct {
	seeds *seeds
	whole map[*seed]mkimage.Source // the images among the seeds, and what was taken apart
	cache *cache.Cache
	at    map[chunkstore.ID]chunkstore.Location // of all chunks, on the mirror
	// of patch sets; nil: contents do not come by patch
	chain   *chain
	buffers sync.Pool // of *buffers
}

// buffers hold one chunk.
type buffers struct{ plain, frame []byte }

// newSource makes a source for a recipe, or for raw artifacts only when that is nil.
func newSource(s *seeds, c *cache.Cache, at map[chunkstore.ID]chunkstore.Location,
	recipe *mkimage.Recipe) *source {
	src := &source{seeds: s, whole: map[*seed]mkimage.Source{}, cache: c, at: at}
	src.buffers.New = func() any { return new(buffers) }
	for _, seed := range s.list {
		if whole := seed.source(recipe); whole != nil {
			src.whole[seed] = whole
		}
	}
	return src
}

// Open streams a content: from a seed that has the whole of it, by patch, else chunk by chunk.
func (s *source) Open(ctx context.Context, c *chunkstore.Content) (io.ReadCloser, error) {
	if seed := s.seeds.of(c.ID); seed != nil && s.whole[seed] != nil {
		r, err := s.whole[seed].Open(ctx, c)
		if err != nil {
			return nil, seed.changed(err)
		}
		return &seedReader{chunkstore.NewVerifier(r, c.ID, c.Size), r, seed, c.ID}, nil
	}
	if s.chain != nil && s.chain.gives(c.ID, len(s.chain.sets)) {
		return s.chain.reader(ctx, c.ID), nil
	}
	return &assembly{
		ctx:     ctx,
		source:  s,
		chunks:  c.Chunks,
		buffers: s.buffers.Get().(*buffers),
	}, nil
}

// seedReader verifies a whole content that comes from a seed, so that an error names the seed.
type seedReader struct {
	verifier *chunkstore.Verifier
	io.Closer
	seed    *seed
	content chunkstore.ID
}

func (r *seedReader) Read(p []byte) (int, error) {
	n, err := r.verifier.Read(p)
	if err == nil || err == io.EOF {
		return n, err
	}
	if _, ok := errors.AsType[*chunkstore.Mismatch](err); ok {
		err = fmt.Errorf("content %s: %w", r.content, chunkstore.ErrCorrupt)
	}
	return n, r.seed.changed(err)
}

// assembly reads a content chunk by chunk.
type assembly struct {
	ctx    context.Context
	source *source
	chunks []chunkstore.Chunk // still to come
	hole   int64              // zero bytes to come before them
	rest   []byte             // of the chunk at hand
	*buffers

	open    place // whose file is open
	openedF io.ReaderAt
}

func (a *assembly) Read(p []byte) (int, error) {
	for a.hole == 0 && len(a.rest) == 0 {
		if len(a.chunks) == 0 {
			return 0, io.EOF
		}
		if err := a.next(); err != nil {
			return 0, err
		}
	}
	if a.hole > 0 {
		n := int(min(int64(len(p)), a.hole))
		clear(p[:n])
		a.hole -= int64(n)
		return n, nil
	}
	n := copy(p, a.rest)
	a.rest = a.rest[n:]
	return n, nil
}

// next makes the next chunk the one at hand.
func (a *assembly) next() error {
	if err := a.ctx.Err(); err != nil {
		return err
	}
	c := a.chunks[0]
	a.chunks = a.chunks[1:]
	if c.IsHole() {
		a.hole = c.Size
		return nil
	}
	var err error
	if at, ok := a.source.seeds.chunk(c.ID); ok {
		err = a.fromSeed(at, c)
	} else {
		a.plain, err = a.source.fetched(c, a.buffers)
	}
	a.rest = a.plain
	return err
}

func (a *assembly) fromSeed(at place, c chunkstore.Chunk) error {
	if a.openedF == nil || a.open.seed != at.seed || a.open.content.ID != at.content.ID {
		f, err := at.seed.file(a.ctx, at.content.ID)
		if err != nil {
			return at.seed.changed(err)
		}
		a.open, a.openedF = at, f
	}
	a.plain = grow(a.plain, c.Size)
	if _, err := io.ReadFull(io.NewSectionReader(a.openedF, at.offset, c.Size), a.plain); err != nil {
		return at.seed.changed(err)
	}
	if chunkstore.Sum(a.plain) != c.ID {
		return at.seed.changed(fmt.Errorf("chunk %s: %w", c.ID, chunkstore.ErrCorrupt))
	}
	return nil
}

// Close gives the buffers back.
func (a *assembly) Close() error {
	if a.buffers != nil {
		a.source.buffers.Put(a.buffers)
		a.buffers, a.rest, a.chunks, a.hole = nil, nil, nil, 0
	}
	return nil
}

// fetched gives a chunk whose frame is in the cache, verified, in b.plain.
func (s *source) fetched(c chunkstore.Chunk, b *buffers) ([]byte, error) {
	at, ok := s.at[c.ID]
	if !ok {
		return nil, fmt.Errorf("chunk %s: %w in the release's index", c.ID, chunkstore.ErrNotFound)
	}
	b.frame = grow(b.frame, at.Length)
	if err := s.cache.ReadAt(at.Pack, b.frame, at.Offset); err != nil {
		return b.plain[:0], err
	}
	return chunkstore.DecodeFrame(b.plain[:0], b.frame, c)
}

// grow gives n bytes of any content, in p's memory where they fit. Callers have checked n against
// chunkstore.ChunkMax.
func grow(p []byte, n int64) []byte {
	if int64(cap(p)) < n {
		return make([]byte, n)
	}
	return p[:n]
}

// copying adds the stored blocks of the seeds to a source, so that Build copies what did not
// change.
type copying struct {
	*source
	stored map[*seed]mkimage.Stored
}

// withStored adds the stored blocks of the seeds to src. When no seed has the image's codec and
// block size, that is src itself.
func withStored(src *source) mkimage.Source {
	c := &copying{source: src, stored: map[*seed]mkimage.Stored{}}
	for seed, s := range src.whole {
		if stored, ok := s.(mkimage.Stored); ok {
			c.stored[seed] = stored
		}
	}
	if len(c.stored) == 0 {
		return src
	}
	return c
}

// StoredBlock is mkimage.Stored's.
func (c *copying) StoredBlock(content *chunkstore.Content,
	n int) (stored []byte, compressed, ok bool, err error) {
	seed := c.seeds.of(content.ID)
	from := c.stored[seed]
	if from == nil {
		return nil, false, false, nil
	}
	if stored, compressed, ok, err = from.StoredBlock(content, n); err != nil {
		return nil, false, false, seed.changed(err)
	}
	return stored, compressed, ok, nil
}

// StoredFragment is mkimage.Stored's.
func (c *copying) StoredFragment(
	contents []chunkstore.ID,
) (stored []byte, compressed, ok bool, err error) {
	for _, seed := range c.seeds.list {
		from := c.stored[seed]
		if from == nil {
			continue
		}
		if stored, compressed, ok, err = from.StoredFragment(contents); err != nil {
			return nil, false, false, seed.changed(err)
		}
		if ok {
			return stored, compressed, true, nil
		}
	}
	return nil, false, false, nil
}
