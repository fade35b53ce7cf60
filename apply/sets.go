package apply

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"deltaup/chunkstore"
	"deltaup/delta"
	"deltaup/delta/patchset"
	"deltaup/mirror"
	"deltaup/mkimage"
)

// maxSets is the longest way through releases in between. Each step needs a release file, a
// whole recipe and a decoded group in memory.
const maxSets = 8

// set is a patch set, one step on the way from a seed to the release.
type set struct {
	patch *mirror.Patch
	to    *mirror.Release // that it leads to
	head  *patchset.Head
	step  *patchset.Step // nil: not loaded

	entries map[chunkstore.ID][]int // in step.Entries, in order, of each content
	dead    map[int]bool            // groups that cannot be used
	wrong   map[int]bool            // entries that come out wrong
}

// recipe is that of the release that the set leads to.
func (s *set) recipe() *mirror.RecipeObject { return s.to.Artifact(mirror.ImageName).Recipe }

func (s *set) file() delta.File { return delta.File{Kind: delta.SetFile, ID: s.patch.Set.ID} }

func (s *set) name() string { return mirror.PatchPath(s.patch.Set.ID) }

// findSets looks for the patch sets that lead from a seed's recipe to the release: one, or
// several through releases in between. When a seed is of the release itself, there are none.
func (u *Update) findSets(ctx context.Context) error {
	text := u.image.Recipe.Text
	for _, s := range u.seeds.list {
		if s.recipe == text {
			u.chain = u.newChain(s, nil)
			if !u.whole {
				u.setRecipe(s.derived.Recipe)
			}
			return nil
		}
	}
	if !slices.ContainsFunc(u.seeds.list, func(s *seed) bool { return !s.recipe.IsZero() }) {
		return nil
	}
	var sets []*set // from the last to the first
	var bytes int64
	release := u.release
	for {
		if seed, p := u.seedOf(release); seed != nil {
			sets = append(sets, newSet(p, release))
			slices.Reverse(sets)
			u.chain = u.newChain(seed, sets)
			return nil
		}
		if len(release.Patches) == 0 || len(sets) == maxSets-1 {
			return nil
		}
		// The oldest: the fewest steps.
		p := &release.Patches[len(release.Patches)-1]
		if bytes += p.Set.Size; bytes >= u.image.Size {
			return nil
		}
		sets = append(sets, newSet(p, release))
		var err error
		if release, err = u.meta.client.Release(ctx, p.From, nil); err != nil {
			if unusable(err) {
				u.events.warn("no way through the releases before: %v", err)
				return nil
			}
			return err
		}
		// Nothing names this file's hash: it is believed that far only.
		if a := release.Artifact(mirror.ImageName); a == nil || a.Recipe == nil || a.Recipe.Text != p.Recipe {
			u.events.warn("no way through the releases before: %s has another recipe than %s leads from", mirror.ReleasePath(p.From), mirror.PatchPath(p.Set.ID))
			return nil
		}
	}
}

// seedOf finds the smallest of a release's sets that leads from a seed.
func (u *Update) seedOf(release *mirror.Release) (from *seed, best *mirror.Patch) {
	for _, s := range u.seeds.list {
		if p := release.PatchFrom(s.recipe); p != nil && !s.recipe.IsZero() && (best == nil || p.Set.Size < best.Set.Size) {
			from, best = s, p
		}
	}
	return from, best
}

func newSet(p *mirror.Patch, to *mirror.Release) *set {
	return &set{patch: p, to: to, dead: map[int]bool{}, wrong: map[int]bool{}}
}

// headBytes is how many bytes are fetched for a set's head: all of the set when the rest is no more than a request is worth.
func (u *Update) headBytes(s *set) int64 {
	if s.patch.Set.Size-s.patch.Head.Size <= u.meta.line.RequestCost() {
		return s.patch.Set.Size
	}
	return s.patch.Head.Size
}

func (u *Update) fetchedWhole(s *set) bool { return u.headBytes(s) == s.patch.Set.Size }

// loadSets fetches the heads of the chain's sets, and the recipes in between, and
// learns the release's recipe from them.
func (u *Update) loadSets(ctx context.Context) error {
	from := u.chain.seed.derived.Recipe
	for i, s := range u.chain.sets {
		if err := u.loadSet(ctx, s, from); err != nil {
			return err
		}
		from = s.step.To
		if i+1 == len(u.chain.sets) {
			break
		}
		// The next set leads from the whole text, chunk lists included.
		var err error
		if from, err = u.readRecipe(ctx, s.to); err != nil {
			return err
		}
	}
	if !u.whole {
		u.setRecipe(from)
	}
	return nil
}

// loadSet fetches a set's head and joins it with the recipe that it leads from.
func (u *Update) loadSet(ctx context.Context, s *set, from *mkimage.Recipe) error {
	if s.step != nil {
		return nil
	}
	var err error
	if s.head, err = u.readHead(ctx, s); err != nil {
		return err
	}
	if s.head.From != s.patch.Recipe || s.head.To != s.recipe().Text || s.head.SetSize() != s.patch.Set.Size {
		return published(s.name(), fmt.Errorf("it is not the set that the release names: %w", chunkstore.ErrCorrupt))
	}
	step, err := s.head.Step(from)
	if err != nil {
		return published(s.name(), err)
	}
	s.entries = map[chunkstore.ID][]int{}
	for i := range step.Entries {
		id := step.Entries[i].Content.ID
		s.entries[id] = append(s.entries[id], i)
	}
	s.step = step
	return nil
}

// readHead reads a set's head, fetching what is missing of it.
func (u *Update) readHead(ctx context.Context, s *set) (*patchset.Head, error) {
	for {
		got, err := u.fetchExtent(ctx, s.file(), delta.Extent{Length: u.headBytes(s)})
		if err != nil {
			return nil, err
		}
		b := make([]byte, s.patch.Head.Size)
		if err := u.state.cache.readAt(s.patch.Set.ID, b, 0); err != nil {
			return nil, err
		}
		h, err := patchset.ReadHead(b)
		if err == nil && h.ID != s.patch.Head.ID {
			err = fmt.Errorf("its head has the hash %s: %w", h.ID, chunkstore.ErrCorrupt)
		}
		if err == nil {
			return h, nil
		}
		bad := badExtent{file: s.file(), Extent: delta.Extent{Length: s.patch.Head.Size}, cause: fmt.Errorf("%s: %w", s.name(), err)}
		if err := u.discard([]badExtent{bad}, got); err != nil {
			return nil, err
		}
	}
}

// complete gives the same contents with their chunks, once the index was read.
func (u *Update) complete(contents []*chunkstore.Content) iter.Seq[*chunkstore.Content] {
	wanted := map[chunkstore.ID]bool{}
	for _, c := range contents {
		wanted[c.ID] = true
	}
	return func(yield func(*chunkstore.Content) bool) {
		for c := range u.recipe.Contents() {
			if wanted[c.ID] && !yield(c) {
				return
			}
		}
	}
}
