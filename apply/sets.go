package apply

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"deltaup/chunkstore"
	"deltaup/delta"
	"deltaup/delta/patchset"
	"deltaup/mirror"
	"deltaup/mkimage"
)

// maxSets is the longest way through releases in between. Each step needs a release file, and a
// recipe and a decoded group in memory.
const maxSets = 8

// set is a patch set, one step on the way from a seed to the release.
type set struct {
	patch *mirror.Patch
	small bool            // it is fetched whole at once
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
			sets = append(sets, u.newSet(p, release))
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
		sets = append(sets, u.newSet(p, release))
		var err error
		if release, err = u.meta.before(ctx, p); err != nil {
			if unusable(err) {
				u.events.warn("no way through the releases before: %v", err)
				return nil
			}
			return err
		}
		if a := release.Artifact(mirror.ImageName); a == nil || a.Recipe == nil ||
			a.Recipe.Text != p.Recipe {
			u.events.warn(
				"no way through the releases before: %s has another recipe than %s leads from",
				mirror.ReleasePath(p.From),
				mirror.PatchPath(p.Set.ID),
			)
			return nil
		}
	}
}

// seedOf finds the smallest of a release's sets that leads from a seed.
func (u *Update) seedOf(release *mirror.Release) (from *seed, best *mirror.Patch) {
	for _, s := range u.seeds.list {
		if p := release.PatchFrom(s.recipe); p != nil && !s.recipe.IsZero() &&
			(best == nil || p.Set.Size < best.Set.Size) {
			from, best = s, p
		}
	}
	return from, best
}

func (u *Update) newSet(p *mirror.Patch, to *mirror.Release) *set {
	u.sizes[p.Set.ID] = p.Set.Size
	return &set{patch: p, to: to, dead: map[int]bool{}, wrong: map[int]bool{}}
}

// headBytes is how many bytes are fetched for a set's head: all of the set when the rest is no more
// than a request is worth.
func (u *Update) headBytes(s *set) int64 {
	if s.small || u.wholeFiles || s.patch.Set.Size-s.patch.Head.Size <= u.meta.line.RequestCost() {
		return s.patch.Set.Size
	}
	return s.patch.Head.Size
}

func (u *Update) fetchedWhole(s *set) bool { return u.headBytes(s) == s.patch.Set.Size }

// loadSets fetches the heads of the chain's sets and learns the release's recipe from them.
func (u *Update) loadSets(ctx context.Context) error {
	var before *set
	for _, s := range u.chain.sets {
		if err := u.loadSet(ctx, s, before); err != nil {
			return err
		}
		before = s
	}
	if !u.whole {
		u.setRecipe(before.step.To)
	}
	return nil
}

// loadSet fetches a set's head and joins it with the recipe that it leads from: the seed's, or the
// one that the set before leads to.
func (u *Update) loadSet(ctx context.Context, s, before *set) error {
	if s.step != nil {
		return nil
	}
	var err error
	if s.head, err = u.readHead(ctx, s); err != nil {
		return err
	}
	if s.head.From != s.patch.Recipe || s.head.To != s.recipe().Text ||
		s.head.SetSize() != s.patch.Set.Size {
		return published(s.name(),
			fmt.Errorf("it is not the set that the release names: %w", chunkstore.ErrCorrupt))
	}
	if s.step, err = u.join(ctx, s, before); err != nil {
		return err
	}
	s.entries = map[chunkstore.ID][]int{}
	for i := range s.step.Entries {
		id := s.step.Entries[i].Content.ID
		s.entries[id] = append(s.entries[id], i)
	}
	return nil
}

// join applies a set's recipe patch. A recipe on the way is fetched whole only when the set refers
// to chunk lists that the sets before left out.
func (u *Update) join(ctx context.Context, s, before *set) (*patchset.Step, error) {
	step, err := s.after(before, u.chain.seed)
	if errors.Is(err, patchset.ErrPending) {
		var from *mkimage.Recipe
		if from, err = u.readRecipe(ctx, before.to); err != nil {
			return nil, err
		}
		step, err = s.head.Step(from)
	}
	if err != nil {
		return nil, published(s.name(), err)
	}
	return step, nil
}

func (s *set) after(before *set, seed *seed) (*patchset.Step, error) {
	if before == nil {
		return s.head.Step(seed.derived.Recipe)
	}
	return s.head.StepAfter(before.step)
}

// readHead reads a set's head, fetching what is missing of it.
func (u *Update) readHead(ctx context.Context, s *set) (*patchset.Head, error) {
	for {
		got, err := u.fetchExtent(ctx, s.file(), delta.Extent{Length: u.headBytes(s)})
		if err != nil {
			return nil, err
		}
		b := make([]byte, s.patch.Head.Size)
		if err := u.state.Cache.ReadAt(s.patch.Set.ID, b, 0); err != nil {
			return nil, err
		}
		h, err := parseHead(b, s.patch.Head)
		if err == nil {
			return h, nil
		}
		bad := badExtent{
			file:   s.file(),
			Extent: delta.Extent{Length: s.patch.Head.Size},
			cause:  fmt.Errorf("%s: %w", s.name(), err),
		}
		if err := u.discard([]badExtent{bad}, got); err != nil {
			return nil, err
		}
	}
}

// parseHead reads a head that must be want. One that is well-formed, and another, is told from a
// damaged one; of one with another size no more is there than its first bytes, and these say so.
func parseHead(b []byte, want mirror.Object) (*patchset.Head, error) {
	size, err := patchset.HeadSize(b)
	if err != nil {
		return nil, err
	}
	if size != want.Size {
		return nil, fmt.Errorf("%w: its head has %d bytes, not %d: %w", mirror.ErrOtherSet, size,
			want.Size, chunkstore.ErrCorrupt)
	}
	h, err := patchset.ReadHead(b)
	if err == nil && h.ID != want.ID {
		err = fmt.Errorf("%w: its head has the hash %s, not %s: %w", mirror.ErrOtherSet, h.ID,
			want.ID, chunkstore.ErrCorrupt)
	}
	return h, err
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
