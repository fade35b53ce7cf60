package apply

import (
	"context"
	"errors"
	"slices"

	"deltaup/chunkstore"
	"deltaup/mirror"
	"deltaup/mkimage"
	"deltaup/mkimage/squashfs"
)

// keptError is a failure for which a kept recipe may be the reason. Nothing else is given up for
// its sake: the update starts over and reads the seeds.
type keptError struct{ error }

func (e *keptError) Unwrap() error { return e.error }

// errOtherChunks means that the release's contents are cut otherwise than a kept recipe says, so
// that the seed has to be read.
var errOtherChunks = errors.New(
	"the release is cut into other chunks than a seed whose recipe is kept",
)

// useKept tells whether a seed's kept recipe was taken instead of reading it.
func (s *seeds) useKept() bool {
	for _, seed := range s.list {
		if !seed.keptAs.IsZero() {
			return true
		}
	}
	return false
}

// blamesKept tells whether a kept recipe may be the reason for err.
func (u *Update) blamesKept(err error) bool {
	var kept *keptError
	return errors.As(err, &kept) || errors.Is(err, ErrSeed) && u.seeds.useKept()
}

// maxRounds is how often an update is begun anew because a seed's medium fails.
const maxRounds = 3

// failing tells whether a seed could not be read where it could be read before. Then the seeds are
// read again, to see what is left of it.
func (s *seeds) failing() bool {
	return slices.ContainsFunc(s.list, func(x *seed) bool { return x.f.lost.Load() > x.lost })
}

// failing is that of seeds, for the seeds that pieces come from.
func (p *pieces) failing() bool {
	return slices.ContainsFunc(p.files,
		func(f pieceSeed) bool { return f.lost.Load() > p.lost[f.seedMedium] })
}

// startOver forgets the kept recipes that were used, with a warning, uses none from now on, reads
// the seeds and plans anew. What was fetched stays.
func (u *Update) startOver(ctx context.Context, cause error) error {
	for _, s := range u.seeds.list {
		if s.keptAs.IsZero() || errors.Is(cause, errOtherChunks) {
			continue
		}
		if err := u.state.Recipes.Forget(s.keptAs); err != nil {
			u.events.warn("a kept recipe: %v", err)
		}
	}
	switch {
	case errors.Is(cause, errOtherChunks):
	case u.seeds.useKept():
		u.events.warn("the kept recipe of a seed may be wrong, so the seeds are read anew: %v",
			cause)
	default:
		u.events.warn("the medium of a seed is failing, so the seeds are read anew: %v", cause)
	}
	u.ignoreKept = true
	return u.findAnew(ctx)
}

// tellsOf tells whether a release names the hash of a recipe's text: its own, or that
// of a release that a patch set leads from.
func tellsOf(r *mirror.Release, text chunkstore.ID) bool {
	if a := r.Artifact(mirror.ImageName); a != nil && a.Recipe != nil &&
		a.Recipe.Text == text {
		return true
	}
	for i := range r.Patches {
		if r.Patches[i].Recipe == text {
			return true
		}
	}
	return false
}

// keepSeed keeps the recipe of a seed that was read, and how quickly it was.
func (u *Update) keepSeed(s *seed) error {
	if err := u.state.LearnDecode(s.plain, s.rate); err != nil {
		return err
	}
	if s.derived == nil || !s.keptAs.IsZero() || s.recipe.IsZero() || !tellsOf(u.release, s.recipe) {
		return nil
	}
	return u.state.Recipes.Put(s.image, s.image.Size(), s.derived.Recipe)
}

// keepRecipe keeps the recipe of the image that was written, when it is known. The contents that
// came by patch, of which it has no chunks, are read and cut for it; nothing else is in memory
// then.
func (u *Update) keepRecipe(ctx context.Context) error {
	if u.recipe == nil || !u.rebuilds() {
		return nil
	}
	r := u.recipe
	if !u.ownRecipe {
		u.patch.chain.close()
		err := u.seeds.close()
		u.patch.chain, u.seeds, u.machine.encoders = nil, &seeds{}, nil
		if err != nil {
			return err
		}
		image, err := squashfs.Open(u.r.Slot, u.image.Size)
		if err != nil {
			return err
		}
		d, err := mkimage.Derive(ctx, image, chunkstore.Params{}, mkimage.DeriveOptions{Known: r})
		if err != nil {
			return err
		}
		r = d.Recipe
	}
	if id, err := r.ID(); err != nil || id != u.image.Recipe.Text { // another is not this image's
		return err
	}
	return u.state.Recipes.Put(u.r.Slot, u.image.Size, r)
}
