package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"deltaup/chunkstore"
	"deltaup/delta"
	"deltaup/mirror"
	"deltaup/mirror/client"
	"deltaup/mkimage"
)

// load fetches what is missing to plan a route exactly. A patch set or a block map that
// cannot be used closes its route; everything else that fails is an error.
func (u *Update) load(ctx context.Context, route delta.Route) error {
	switch route {
	case delta.RoutePatch:
		if !u.chain.loaded() {
			return u.closeOn(delta.RoutePatch, u.loadSets(ctx))
		}
		return u.loadIndex(ctx) // for what the sets leave out
	case delta.RouteBlocks:
		return u.closeOn(delta.RouteBlocks, u.loadPieces(ctx))
	default:
		if !u.whole { // it tells how much is needed, and so whether the index is
			return u.loadWholeRecipe(ctx)
		}
		return u.loadIndex(ctx)
	}
}

// closeOn closes a route, with a warning, when err says that its files are of no use: missing,
// damaged or of a later format. It passes other errors on.
func (u *Update) closeOn(route delta.Route, err error) error {
	if err == nil || !unusable(err) {
		return err
	}
	u.close(route, err)
	return nil
}

// unusable tells whether an error is about a file that is missing on the mirror or not what it
// should be.
func unusable(err error) bool {
	return errors.Is(err, client.ErrMissing) || errors.Is(err, client.ErrLacking) || errors.Is(err, mirror.ErrDamaged) ||
		errors.Is(err, chunkstore.ErrVersion) ||
		errors.Is(err, chunkstore.ErrCorrupt)
}

// close gives a route up for this update.
func (u *Update) close(route delta.Route, err error) {
	u.events.warn("the route %s is given up: %v", route, err)
	u.closed[route] = err
	if route == delta.RoutePatch && !u.whole {
		u.setRecipe(nil) // it came from there, and nothing else has proved it
	}
}

// noRoute lets a caller see why no route is left: err, which names the reasons, wraps those of the
// routes that failed too.
func (u *Update) noRoute(err error) error {
	if !errors.Is(err, delta.ErrNoRoute) {
		return err
	}
	causes := []error{err}
	for _, why := range u.closed {
		causes = append(causes, why)
	}
	return &routeError{err, causes}
}

// routeError reads as error alone.
type routeError struct {
	error
	causes []error
}

func (e *routeError) Unwrap() []error { return e.causes }

// setRecipe takes what is known of the image's contents and looks for them in the seeds.
func (u *Update) setRecipe(r *mkimage.Recipe) {
	u.recipe = r
	u.seeds.find(u.contents())
}

// loadRecipe gets the recipe: out of the patch sets where there are any, else whole.
func (u *Update) loadRecipe(ctx context.Context) error {
	if u.chain != nil && u.closed[delta.RoutePatch] == nil {
		if err := u.closeOn(delta.RoutePatch, u.loadSets(ctx)); err != nil || u.recipe != nil {
			return err
		}
	}
	return u.loadWholeRecipe(ctx)
}

// loadWholeRecipe gets the recipe with all chunks; seeds that were cut otherwise are cut anew.
func (u *Update) loadWholeRecipe(ctx context.Context) error {
	if u.whole {
		return nil
	}
	r, err := u.readRecipe(ctx, u.release)
	if err != nil {
		return err
	}
	for _, s := range u.seeds.list {
		if s.params == r.Chunking {
			continue
		}
		if !s.believed.IsZero() {
			return &beliedError{fmt.Errorf("seed %s: %w", s.path, errOtherChunks)}
		}
		if err := s.read(ctx, r.Chunking, nil, &u.events); err != nil {
			return s.changed(err)
		}
	}
	u.whole = true
	u.setRecipe(r)
	return nil
}

// readRecipe reads a release's recipe. Outputs alone need it too: the index runs parallel to it.
func (u *Update) readRecipe(ctx context.Context, release *mirror.Release) (*mkimage.Recipe, error) {
	image := release.Artifact(mirror.ImageName)
	if image == nil || image.Recipe == nil {
		return &mkimage.Recipe{Chunking: chunkstore.DefaultParams}, nil
	}
	name := mirror.RecipePath(image.Recipe.ID)
	stored, err := u.meta.object(ctx, name, image.Recipe.Object, mirror.MaxRecipeSize)
	if err != nil {
		return nil, err
	}
	recipe, err := image.Recipe.Decode(stored)
	if err != nil {
		return nil, published(name, err)
	}
	return recipe, nil
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
	if err := u.loadWholeRecipe(ctx); err != nil {
		return err
	}
	u.notePacks(index)
	chunks := u.recipe.Chunks()
	if u.at, err = index.Locations(chunks); err != nil {
		return published(name, err)
	}
	u.other = delta.List{}
	if u.image != nil && !u.rebuilds() {
		if u.raw, err = u.needRaw(index, u.image); err != nil {
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
	u.chunks = delta.List{Chunks: chunks, Locations: index.Image}
	u.indexed = true
	u.addInitrd()
	u.seeds.find(u.contents())
	return u.checkChunks()
}

// needRaw finds a raw artifact in the index and adds its chunks to what is needed.
func (u *Update) needRaw(x *chunkstore.Index, a *mirror.Artifact) (*chunkstore.Content, error) {
	i := slices.IndexFunc(x.Raw, func(l chunkstore.RawList) bool { return l.Name == a.Name })
	if i < 0 {
		return nil, fmt.Errorf("artifact %s: %w: not in the index", a.Name, chunkstore.ErrCorrupt)
	}
	c := &x.Raw[i].Content
	if c.ID != a.ID || c.Size != a.Size {
		return nil, fmt.Errorf("artifact %s: %w: not the one that the release names", a.Name,
			chunkstore.ErrCorrupt)
	}
	for _, chunk := range chunkstore.Distinct(one(c)) {
		u.needOther(chunk)
	}
	return c, nil
}

// checkChunks bounds the memory that one chunk takes.
func (u *Update) checkChunks() error {
	for _, list := range []delta.List{u.chunks, u.other} {
		for _, c := range list.Chunks {
			if c.Size > chunkstore.ChunkMax {
				return fmt.Errorf("release %s: chunk %s of %d bytes: %w: %w", u.release.Version,
					c.ID, c.Size, mirror.ErrDamaged, chunkstore.ErrCorrupt)
			}
		}
	}
	return nil
}
