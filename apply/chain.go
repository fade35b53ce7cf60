package apply

import (
	"sync"

	"deltaup/apply/cache"
	"deltaup/chunkstore"
	"deltaup/delta"
	"deltaup/delta/patchset"
	"deltaup/internal/durable"
	"deltaup/mirror"
	"deltaup/mkimage"
)

// chain is the patch sets that lead from a seed to the release, the first of them from the
// seed's own recipe unless from is set. It gives the contents that they make, to several goroutines
// at once as long as nothing is given up.
type chain struct {
	seed *seed
	// that the first set leads from, when it is not the seed's own: the seed may have the contents
	from  *mirror.RecipeObject
	sets  []*set
	cache *cache.Cache // where the groups are

	mu     sync.Mutex
	open   []openGroup // the one used last comes first
	groups map[*set]*patchset.Groups

	preparing sync.Mutex
	ready     *patchset.Prepared  // of readyFor
	readyFor  *chunkstore.Content // of a set's recipe

	tmp string // folder for spools
	// large contents that were made as bases, and what was made before the image
	spools map[chunkstore.ID]*durable.File
}

// openGroup is a decoded group.
type openGroup struct {
	set   *set
	n     int
	group *patchset.Group
}

const (
	// openMax bounds the plain bytes of the groups that are kept decoded, beside the one in use,
	// and of a run's decoders. In data order each group is used once; contents that moved, and
	// chains, come back to one.
	openMax = 12 << 20
	// openLess is the memory of an entry from which on no other group is kept while it is made.
	openLess = 16 << 20
)

func (u *Update) newChain(s *seed, sets []*set) *chain {
	return &chain{seed: s, sets: sets, cache: u.state.Cache,
		groups: map[*set]*patchset.Groups{}, tmp: u.state.Tmp(),
		spools: map[chunkstore.ID]*durable.File{}}
}

// fits tells whether the seed is what the first set leads from, so that what releases say of the
// sets goes for it.
func (c *chain) fits() bool { return c != nil && c.from == nil }

// loaded tells whether it is known what the sets give.
func (c *chain) loaded() bool {
	return len(c.sets) == 0 || c.sets[len(c.sets)-1].step != nil
}

// complete gives the contents of the recipe that s leads to, which is r, their ids, where a set has
// left them out.
func (c *chain) complete(s *set, r *mkimage.Recipe) error {
	if err := s.step.Complete(r); err != nil {
		return err
	}
	c.indexAgain()
	return nil
}

// indexAgain finds the contents anew, once some have got their ids.
func (c *chain) indexAgain() {
	if c.seed.derived != nil {
		c.seed.derived.IndexAgain()
	}
	for _, s := range c.sets {
		if s.step != nil {
			s.index()
		}
	}
}

// chunks is how many bytes the way from the seed takes by chunks, as the releases say.
func (c *chain) chunks() (n int64) {
	for _, s := range c.sets {
		n += s.patch.Chunks
	}
	return n
}

// needs is what some contents need of a chain's sets.
type needs struct {
	sets    []*set
	groups  [][]bool              // of each set, those that are needed
	leftOut []*chunkstore.Content // that come by no patch
}

// needs finds out which groups give the contents.
func (c *chain) needs(contents []*chunkstore.Content) needs {
	n := needs{sets: c.sets}
	for _, s := range c.sets {
		n.groups = append(n.groups, make([]bool, len(s.head.Groups)))
	}
	for _, x := range contents {
		if !c.gives(x.ID, len(c.sets)) {
			n.leftOut = append(n.leftOut, x)
			continue
		}
		c.mark(n.groups, x.ID, len(c.sets))
	}
	return n
}

// pieces lists the needed groups.
func (n needs) pieces() (out []delta.Piece) {
	for i, s := range n.sets {
		for k, g := range s.head.Groups {
			if n.groups[i][k] {
				out = append(
					out,
					delta.Piece{
						File:   s.file(),
						Extent: delta.Extent{Offset: g.Offset, Length: g.Length},
					},
				)
			}
		}
	}
	return out
}

// effort is how many patched bytes take as long as undoing the transforms in the needed groups.
func (n needs) effort() (bytes int64) {
	for i, s := range n.sets {
		for k := range s.step.Entries {
			if e := &s.step.Entries[k]; n.groups[i][e.Group] {
				length, effort := e.Rewritten()
				bytes += length * effort.Slow
			}
		}
	}
	return bytes
}

// maker gives the set that makes a content, of the first so many the last that does. It is nil when
// the seed has the content, or no set makes it.
func (c *chain) maker(id chunkstore.ID, sets int) (s *set, before int) {
	if c.seed.has(id) {
		return nil, 0
	}
	for i := sets - 1; i >= 0; i-- {
		if len(c.sets[i].entries[id]) > 0 {
			return c.sets[i], i
		}
	}
	return nil, 0
}

// gives tells whether a content of the release that the first so many sets lead to is in the seed
// or can be made.
func (c *chain) gives(id chunkstore.ID, sets int) bool {
	s, before := c.maker(id, sets)
	if s == nil {
		return c.seed.has(id)
	}
	for _, i := range s.entries[id] {
		e := &s.step.Entries[i]
		if s.unusable[e.Group] || s.wrong[i] || s.declined[i] ||
			e.Base != nil && !c.gives(e.Base.ID, before) {
			return false
		}
	}
	return true
}

// mark marks the groups that a content is made of.
func (c *chain) mark(groups [][]bool, id chunkstore.ID, sets int) {
	s, before := c.maker(id, sets)
	if s == nil {
		return
	}
	for _, i := range s.entries[id] {
		e := &s.step.Entries[i]
		for n := e.Group; !groups[before][n]; n-- { // with those before it in its run
			if groups[before][n] = true; !s.head.Groups[n].GoesOn {
				break
			}
		}
		if e.Base != nil {
			c.mark(groups, e.Base.ID, before)
		}
	}
}

// group gives a decoded group, to make an entry of it that takes so much memory.
func (c *chain) group(s *set, n int, entry int64) (*patchset.Group, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, o := range c.open {
		if o.set == s && o.n == n {
			copy(c.open[1:], c.open[:i])
			c.open[0] = o
			if entry > openLess {
				c.keep(1, openMax)
			}
			return o.group, nil
		}
	}
	ref := s.head.Groups[n]
	if entry > openLess {
		c.keep(0, 0)
	} else {
		c.keep(len(c.open), openMax-ref.Plain-s.head.RunMemory(n))
	}
	if c.groups[s] == nil {
		c.groups[s] = s.step.Groups(func(n int) ([]byte, error) {
			ref := s.head.Groups[n]
			stored := make([]byte, ref.Length)
			return stored, c.cache.ReadAt(s.patch.Set.ID, stored, ref.Offset)
		})
	}
	g, err := c.groups[s].Open(n)
	if err != nil {
		return nil, &patchError{s, n, -1, err}
	}
	c.open = append([]openGroup{{s, n, g}}, c.open...)
	return g, nil
}

// keep keeps at most so many open groups of so many bytes.
func (c *chain) keep(most int, room int64) {
	for i, o := range c.open {
		if room -= o.set.head.Groups[o.n].Plain; room < 0 || i == most {
			clear(c.open[i:])
			c.open = c.open[:i]
			return
		}
	}
}
