package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"deltaup/chunkstore"
	"deltaup/mirror"
)

// keptError is a failure for which a kept recipe may be the reason. Nothing else is given up for
// its sake: the update starts over and reads the seeds.
type keptError struct{ error }

func (e *keptError) Unwrap() error { return e.error }

// because gives an error of a kind with its cause, unless that is nil, as one message.
func because(kind, cause error) error {
	if cause == nil {
		return kind
	}
	return fmt.Errorf("%w: %w", kind, cause)
}

// errOtherChunks means that the release's contents are cut otherwise than a kept recipe says, so
// that the seed has to be read.
var errOtherChunks = errors.New(
	"the release is cut into other chunks than a seed whose recipe is kept",
)

// errOtherRecipe means that a kept recipe, completed, is another one than it claims.
var errOtherRecipe = errors.New("its kept recipe is not that of the image")

// unlisted is how many bytes of the seeds have chunks that their kept recipes do not tell.
func (s *seeds) unlisted() (bytes int64) {
	for _, seed := range s.list {
		if seed.derived != nil {
			bytes += seed.derived.Recipe.Unlisted()
		}
	}
	return bytes
}

// listChunks reads of the seeds what their kept recipes lack, and keeps that. Who knows contents of
// these recipes sees the ids and chunks, too.
func (u *Update) listChunks(ctx context.Context) error {
	if u.seeds.unlisted() == 0 {
		return nil
	}
	for _, s := range u.seeds.list {
		if s.derived == nil || s.derived.Recipe.Unlisted() == 0 {
			continue
		}
		if err := s.listChunks(ctx, &u.events); err != nil {
			return err
		}
		if err := u.state.Recipes.Put(s.image, s.image.Size(), s.derived.Recipe, s.recipe); err != nil {
			u.events.warn("the recipe of seed %s is not kept: %v", s.path, err)
		}
	}
	if c := u.patch.chain; c != nil {
		c.indexAgain()
	}
	return nil
}

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

// keepSeed keeps what was read of a seed: its recipe, and how quickly it was.
func (u *Update) keepSeed(s *seed) error {
	if err := u.state.LearnDecode(s.plain, s.rate); err != nil {
		return err
	}
	if s.recipe.IsZero() || !s.keptAs.IsZero() || !tellsOf(u.release, s.recipe) {
		return nil
	}
	return u.state.Recipes.Put(s.image, s.image.Size(), s.derived.Recipe, s.recipe)
}

// keepRecipe keeps the recipe of the image that was written, as far as it is known. Of what came by
// patch it lacks the chunks: they are read when an update needs them.
func (u *Update) keepRecipe() error {
	if u.recipe == nil || !u.rebuilds() {
		return nil
	}
	if u.ownRecipe {
		// another is not this image's
		if id, err := u.recipe.ID(); err != nil || id != u.image.Recipe.Text {
			return err
		}
	} else if c := u.patch.chain; c != nil {
		for _, s := range c.sets {
			if s.step != nil {
				s.step.Name()
			}
		}
	}
	return u.state.Recipes.Put(u.r.Slot, u.image.Size, u.recipe, u.image.Recipe.Text)
}
