package apply

import (
	"context"
	"fmt"

	"deltaup/chunkstore"
	"deltaup/delta"
	"deltaup/mirror"
	"deltaup/mkimage"
)

// setRecipe takes what is known of the image's contents and looks for them in the seeds.
func (u *Update) setRecipe(r *mkimage.Recipe) {
	u.recipe = r
	u.seeds.index()
}

// loadRecipe gets the recipe: out of the patch sets where there are any, else whole.
func (u *Update) loadRecipe(ctx context.Context) error {
	if p := u.patch; p.chain.fits() && u.closed[p.name()] == nil {
		if err := closeOn(p.close, p.loadSets(ctx)); err != nil || u.recipe != nil {
			return err
		}
	}
	return u.loadOwnRecipe(ctx)
}

// loadOwnRecipe gets the recipe with all chunks; seeds that were cut otherwise are cut anew.
func (u *Update) loadOwnRecipe(ctx context.Context) error {
	if u.ownRecipe {
		return nil
	}
	if err := u.listChunks(ctx); err != nil {
		return err
	}
	r, err := u.meta.recipe(ctx, u.release)
	if err != nil {
		return err
	}
	for _, s := range u.seeds.list {
		if s.params == r.Chunking {
			continue
		}
		if !s.keptAs.IsZero() {
			return &keptError{fmt.Errorf("seed %s: %w", s.path, errOtherChunks)}
		}
		if err := s.read(ctx, r.Chunking, nil, &u.events); err != nil {
			return s.changed(err)
		}
	}
	u.ownRecipe = true
	if c := u.patch.chain; c != nil && c.loaded() && len(c.sets) > 0 {
		if err := closeOn(u.patch.close, c.complete(c.sets[len(c.sets)-1], r)); err != nil {
			return err
		}
	}
	u.setRecipe(r)
	return nil
}

// recipeWithIDs gives the image's recipe with the ids of all contents. A patch set leaves some out,
// and so does the kept recipe of an image that was patched.
func (u *Update) recipeWithIDs(ctx context.Context) (*mkimage.Recipe, error) {
	var err error
	if u.recipe.Unlisted() > 0 {
		err = u.loadOwnRecipe(ctx)
	}
	return u.recipe, err
}

// loadIndex reads recipe and index and checks that they belong together.
func (u *Update) loadIndex(ctx context.Context) error {
	name := mirror.IndexPath(u.release.Index.ID)
	stored, err := u.meta.object(ctx, name, u.release.Index, mirror.MaxIndexSize)
	if err != nil {
		return err
	}
	index, err := chunkstore.ParseIndex(stored)
	if err != nil {
		return published(name, err)
	}
	if err := u.loadOwnRecipe(ctx); err != nil {
		return err
	}
	u.fetcher.notePacks(index)
	chunks := u.recipe.Chunks()
	if u.at, err = index.Locations(chunks); err != nil {
		return published(name, err)
	}
	u.other = delta.List{}
	if u.image != nil && !u.rebuilds() {
		if u.rawImage, err = u.needRaw(index, u.image); err != nil {
			return published(name, err)
		}
	}
	for i := range u.outputs {
		o := &u.outputs[i]
		if o.artifact.Kind != mirror.KindRaw || o.same != nil {
			continue
		}
		if o.content, err = u.needRaw(index, &o.artifact); err != nil {
			return published(name, err)
		}
	}
	u.imageChunks = delta.List{Chunks: chunks, Locations: index.Image}
	u.indexed = true
	for _, o := range u.outputs.rebuilt() {
		if o.parts != nil {
			u.needParts(o)
		}
	}
	u.seeds.index()
	return u.checkChunks(u.release)
}
