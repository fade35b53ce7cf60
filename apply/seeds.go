package apply

import (
	"errors"
	"iter"

	"deltaup/apply/cache"
	"deltaup/chunkstore"
	"deltaup/mkimage"
)

// seeds is what all seeds together have of what is needed.
type seeds struct {
	list     []*seed
	contents map[chunkstore.ID]*seed // whole contents that are needed
	chunks   map[chunkstore.ID]place // chunks that are needed, wherever they lie
}

// place is where a chunk lies in a seed.
type place struct {
	seed    *seed
	content *chunkstore.Content
	offset  int64 // in the content
}

// find looks for the needed contents, whole and in chunks. The first seed that has something is
// used.
func (s *seeds) find(needed iter.Seq[*chunkstore.Content]) {
	s.contents = map[chunkstore.ID]*seed{}
	s.chunks = map[chunkstore.ID]place{}
	contents, chunks := map[chunkstore.ID]bool{}, map[chunkstore.ID]bool{}
	for c := range needed {
		contents[c.ID] = true
		for _, chunk := range c.Chunks {
			chunks[chunk.ID] = true
		}
	}
	for _, seed := range s.list {
		seed.contents(func(c *chunkstore.Content) {
			if contents[c.ID] && s.contents[c.ID] == nil {
				s.contents[c.ID] = seed
			}
			offset := int64(0)
			for _, chunk := range c.Chunks {
				if _, found := s.chunks[chunk.ID]; !found && chunks[chunk.ID] && !chunk.IsHole() {
					s.chunks[chunk.ID] = place{seed: seed, content: c, offset: offset}
				}
				offset += chunk.Size
			}
		})
	}
}

// stretches gives the keys of the stretches of r's image that a seed has as they are stored.
func (s *seeds) stretches(r *mkimage.Recipe) map[chunkstore.ID]bool {
	out := map[chunkstore.ID]bool{}
	for _, seed := range s.list {
		for _, x := range seed.stretches(r) {
			out[x.Key()] = true
		}
	}
	return out
}

// plain is how many bytes the contents of all seeds have.
func (s *seeds) plain() (n int64) {
	for _, seed := range s.list {
		seed.contents(func(c *chunkstore.Content) { n += c.Size })
	}
	return n
}

// lacking is how many plain bytes the chunks of r have that no seed has.
func (s *seeds) lacking(r *mkimage.Recipe) (n int64) {
	for _, c := range r.Chunks() {
		if _, ok := s.chunks[c.ID]; !ok {
			n += c.Size
		}
	}
	return n
}

func (s *seeds) close() error {
	var err error
	for _, seed := range s.list {
		err = errors.Join(err, seed.close())
	}
	return err
}

// have is what the target has: the seeds' chunks and the cache's bytes. It is a delta.Have.
type have struct {
	*cache.Cache
	seeds *seeds
}

// Chunk tells whether a seed has a chunk.
func (h have) Chunk(id chunkstore.ID) bool {
	_, ok := h.seeds.chunks[id]
	return ok
}
