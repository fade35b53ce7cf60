package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"deltaup/chunkstore"
	"deltaup/delta/patchset"
	"deltaup/mirror"
	"deltaup/mkimage"
)

// maxSets is the longest way through releases in between. Each step needs a release file, and a
// recipe and a decoded group in memory.
const maxSets = 8

// find looks for patch sets that lead to the release from what a seed holds.
func (r *patchRoute) find(ctx context.Context) error {
	if err := r.findChain(ctx); err != nil || r.chain != nil {
		return err
	}
	return r.findLike(ctx)
}

// findLike takes the newest set from another release for a seed that no set leads from: an image
// that was made by whoever, or is damaged. Patches need only contents of that release, as many as
// the seed has. Whether these are many shows when the set is loaded.
func (r *patchRoute) findLike(ctx context.Context) error {
	u := r.u
	i := slices.IndexFunc(u.seeds.list, func(s *seed) bool { return s.derived != nil })
	if i < 0 || len(u.release.Patches) == 0 || u.fetcher.wholeFiles {
		return nil
	}
	p := &u.release.Patches[0]
	release, err := u.meta.before(ctx, p)
	if err != nil {
		return ignoreUnusable(err)
	}
	if a := release.Artifact(mirror.ImageName); a != nil && a.Recipe != nil && a.Recipe.Text == p.Recipe {
		r.chain = u.newChain(u.seeds.list[i], []*set{u.fetcher.newSet(p, u.release)})
		r.chain.from = a.Recipe
	}
	return nil
}

// findChain looks for the patch sets that lead from a seed's recipe to the release: one, or several
// through releases in between. When a seed is of the release itself, there are none.
func (r *patchRoute) findChain(ctx context.Context) error {
	u := r.u
	text := u.image.Recipe.Text
	for _, s := range u.seeds.list {
		if s.recipe == text {
			r.chain = u.newChain(s, nil)
			if !u.ownRecipe {
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
		if seed, p := r.seedOf(release); seed != nil {
			sets = append(sets, u.fetcher.newSet(p, release))
			slices.Reverse(sets)
			r.chain = u.newChain(seed, sets)
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
		sets = append(sets, u.fetcher.newSet(p, release))
		var err error
		if release, err = r.before(ctx, p); release == nil || err != nil {
			return err
		}
	}
}

// before gives the release that a set leads from; nil, after a warning, when it is of no use.
func (r *patchRoute) before(ctx context.Context, p *mirror.Patch) (*mirror.Release, error) {
	release, err := r.u.meta.before(ctx, p)
	if err != nil && unusable(err) {
		r.u.events.warn("no way through the releases before: %v", err)
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	a := release.Artifact(mirror.ImageName)
	if a == nil || a.Recipe == nil || a.Recipe.Text != p.Recipe {
		r.u.events.warn("no way through the releases before: %s has another recipe than %s leads from",
			mirror.ReleasePath(p.From), mirror.PatchPath(p.Set.ID))
		return nil, nil
	}
	return release, nil
}

// seedOf finds the smallest of a release's sets that leads from a seed.
func (r *patchRoute) seedOf(release *mirror.Release) (from *seed, best *mirror.Patch) {
	for _, s := range r.u.seeds.list {
		if p := release.PatchFrom(s.recipe); p != nil && !s.recipe.IsZero() &&
			(best == nil || p.Set.Size < best.Set.Size) {
			from, best = s, p
		}
	}
	return from, best
}

// loadSets fetches the heads of the chain's sets and learns the release's recipe from them.
func (r *patchRoute) loadSets(ctx context.Context) error {
	var before *set
	for _, s := range r.chain.sets {
		if err := r.loadSet(ctx, s, before); err != nil {
			return err
		}
		before = s
	}
	if !r.u.ownRecipe {
		r.u.setRecipe(before.step.To)
	} else if err := r.chain.complete(before, r.u.recipe); err != nil {
		return err
	}
	return r.declineSteps()
}

// loadSet fetches a set's head and joins it with the recipe that it leads from: the seed's, or the
// one that the set before leads to.
func (r *patchRoute) loadSet(ctx context.Context, s, before *set) error {
	if s.step != nil {
		return nil
	}
	var err error
	if s.head, err = r.u.fetcher.readHead(ctx, s); err != nil {
		return err
	}
	if s.head.From != s.patch.Recipe || s.head.To != s.recipe().Text ||
		s.head.SetSize() != s.patch.Set.Size {
		return published(s.name(),
			fmt.Errorf("it is not the set that the release names: %w", chunkstore.ErrCorrupt))
	}
	if s.step, err = r.join(ctx, s, before); err != nil {
		return err
	}
	s.index()
	return nil
}

// join applies a set's recipe patch to the recipe that it leads from, as far as that is known.
func (r *patchRoute) join(ctx context.Context, s, before *set) (*patchset.Step, error) {
	var step *patchset.Step
	var err error
	if before == nil {
		step, err = r.first(ctx, s)
	} else {
		step, err = s.head.StepAfter(before.step)
	}
	if errors.Is(err, patchset.ErrPending) {
		return r.joinWhole(ctx, s, before)
	}
	if err != nil {
		return nil, published(s.name(), err)
	}
	return step, nil
}

// joinWhole is join for a set that refers to chunk lists which nobody knows yet. First it reads
// those of the seed, and then it fetches the recipe of a release on the way.
func (r *patchRoute) joinWhole(ctx context.Context, s, before *set) (*patchset.Step, error) {
	if err := r.u.listChunks(ctx); err != nil {
		return nil, err
	}
	var step *patchset.Step
	var err error
	if before == nil {
		step, err = r.first(ctx, s)
	} else {
		var from *mkimage.Recipe
		if from, err = r.u.meta.recipe(ctx, before.to); err == nil {
			err = r.chain.complete(before, from)
		}
		if err != nil {
			return nil, err
		}
		step, err = s.head.Step(from)
	}
	if err != nil {
		return nil, published(s.name(), err)
	}
	return step, nil
}

// first applies the recipe patch of a chain's first set.
func (r *patchRoute) first(ctx context.Context, s *set) (*patchset.Step, error) {
	if r.chain.from == nil {
		return s.head.StepFrom(r.chain.seed.derived.Recipe, r.chain.seed.recipe)
	}
	from, err := r.u.meta.recipeFile(ctx, r.chain.from)
	if err != nil {
		return nil, err
	}
	return s.head.Step(from)
}
