package apply

import (
	"errors"

	"deltaup/apply/cache"
	"deltaup/chunkstore"
	"deltaup/mkimage"
)

// seeds is what all seeds together have of what is needed.
type seeds struct {
	list    []*seed
	chunks  []place // chunks that are no whole contents
	chunkAt chunkstore.Numbers
}

// place is where a chunk lies in a seed.
type place struct {
	seed    *seed
	content *chunkstore.Content
	offset  int64 // in the content
	number  int   // in content.Chunks
}

// index finds the chunks of all seeds.
func (s *seeds) index() {
	s.chunks, s.chunkAt = nil, chunkstore.Numbers{}
	for _, seed := range s.list {
		seed.contents(func(c *chunkstore.Content) {
			offset := int64(0)
			for i, chunk := range c.Chunks {
				if !chunk.IsHole() && chunk.ID != c.ID {
					s.add(place{seed, c, offset, i})
				}
				offset += chunk.Size
			}
		})
	}
}

// add enters a chunk that no seed before has.
func (s *seeds) add(p place) {
	id := func(n uint32) *chunkstore.ID { return s.chunks[n].id() }
	if _, ok := s.chunkAt.Find(p.id(), func(n uint32) bool { return *id(n) == *p.id() }); !ok {
		s.chunkAt.Add(uint32(len(s.chunks)), p.id(), id)
		s.chunks = append(s.chunks, p)
	}
}

func (p *place) id() *chunkstore.ID { return &p.content.Chunks[p.number].ID }

// of gives the first seed that has a content; nil: none has it.
func (s *seeds) of(id chunkstore.ID) *seed {
	for _, seed := range s.list {
		if seed.has(id) {
			return seed
		}
	}
	return nil
}

// chunk finds a chunk in the seeds, which may be a whole content.
func (s *seeds) chunk(id chunkstore.ID) (place, bool) {
	n, ok := s.chunkAt.Find(&id, func(n uint32) bool { return *s.chunks[n].id() == id })
	if ok {
		return s.chunks[n], true
	}
	if seed := s.of(id); seed != nil {
		return place{seed: seed, content: &chunkstore.Content{ID: id}}, true
	}
	return place{}, false
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
		if _, ok := s.chunk(c.ID); !ok {
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
	_, ok := h.seeds.chunk(id)
	return ok
}
