package apply

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"

	"deltaup/chunkstore"
	"deltaup/delta"
	"deltaup/mirror"
	"deltaup/mkimage"
)

// Update is an update that was prepared. Close it.
type Update struct {
	r       Request
	events  events
	state   *state
	meta    *metadata
	seeds   *seeds
	release *mirror.Release
	image   *mirror.Artifact    // nil when no image is to be written
	current bool                // the slot holds the image
	recipe  *mkimage.Recipe     // of the release's image; nil when that is raw
	raw     *chunkstore.Content // of an image that is raw
	outputs []output
	at      map[chunkstore.ID]chunkstore.Location
	need    delta.Need
	plan    *delta.Plan
	quote   Quote
}

// Prepare fetches the metadata, locks the slot's state folder, reads the seeds and plans.
// Nothing but the state folder is written to.
func Prepare(ctx context.Context, r Request) (*Update, error) {
	if r.Channel == "" && r.Version == "" {
		return nil, errors.New("neither a channel nor a version was asked for")
	}
	if r.Parallel <= 0 {
		r.Parallel = 4
	}
	u := &Update{r: r, events: events{fn: r.Events}, seeds: &seeds{}}
	slot := ""
	if r.Slot != nil {
		slot = r.Slot.Name()
	}
	for _, path := range r.Seeds {
		if err := checkSeed(path, slot); err != nil {
			return nil, err
		}
	}
	state, err := openState(r.StateDir, slot)
	if err != nil {
		return nil, noSpace(err)
	}
	u.state = state
	u.meta = &metadata{client: r.Client, state: state, line: r.Line, limit: r.Line.Rate, used: map[chunkstore.ID]bool{}}
	if err := u.prepare(ctx); err != nil {
		return nil, errors.Join(err, u.Close())
	}
	return u, nil
}

// Close releases seeds and state folder.
func (u *Update) Close() error {
	return errors.Join(u.seeds.close(), u.state.close())
}

// Quote says what Run will take.
func (u *Update) Quote() Quote { return u.quote }

func (u *Update) prepare(ctx context.Context) error {
	var err error
	if u.release, err = u.meta.release(ctx, u.r.Channel, u.r.Version); err != nil {
		return err
	}
	if u.r.Compatible != "" && u.release.Compatible != "" && u.r.Compatible != u.release.Compatible {
		return fmt.Errorf("release %s is for %q, this is %q: %w", u.release.Version, u.release.Compatible, u.r.Compatible, ErrIncompatible)
	}
	if err := u.wanted(ctx); err != nil {
		return err
	}
	if u.image == nil && len(u.outputs) == 0 {
		u.setQuote()
		return nil
	}
	if err := u.readMetadata(ctx); err != nil {
		return err
	}
	if err := u.openSeeds(ctx); err != nil {
		return err
	}
	u.seeds.find(u.contents())
	err = u.replan()
	u.setQuote()
	return err
}

// wanted finds out what is still to be made of the release's artifacts.
func (u *Update) wanted(ctx context.Context) error {
	if err := u.findOutputs(); err != nil {
		return err
	}
	if u.r.Slot == nil {
		return nil
	}
	image := u.release.Artifact(mirror.ImageName)
	if image == nil {
		return fmt.Errorf("release %s: image: %w", u.release.Version, ErrNoArtifact)
	}
	capacity, err := u.r.Slot.Capacity()
	if err != nil {
		return err
	}
	if capacity < image.Size {
		return fmt.Errorf("slot %s: %w: it holds %d bytes, the image of release %s has %d", u.r.Slot.Name(), ErrNoSpace, capacity, u.release.Version, image.Size)
	}
	if u.current, err = holds(ctx, u.r.Slot, image.Object); err != nil {
		return err
	}
	if !u.current {
		u.image = image
	}
	return nil
}

// readMetadata fetches recipe and index, and checks that they belong together.
func (u *Update) readMetadata(ctx context.Context) error {
	name := mirror.IndexPath(u.release.Index.ID)
	stored, err := u.meta.object(ctx, name, u.release.Index, mirror.MaxIndexSize)
	if err != nil {
		return err
	}
	index, err := chunkstore.ParseIndex(stored)
	if err != nil {
		return published(name, err)
	}
	recipe, err := u.readRecipe(ctx)
	if err != nil {
		return err
	}
	chunks := recipe.Chunks()
	if u.at, err = index.Locations(chunks); err != nil {
		return published(name, err)
	}
	if u.image != nil && u.image.Kind == mirror.KindSquashfs {
		u.need = delta.Need{
			Codec: recipe.Codec,
			Image: delta.List{Chunks: chunks, Locations: index.Image},
			Whole: delta.Whole{ID: u.image.ID, Size: u.image.Size},
		}
	} else if u.image != nil {
		if u.raw, err = u.needRaw(index, u.image); err != nil {
			return published(name, err)
		}
	}
	for i := range u.outputs {
		o := &u.outputs[i]
		if o.content, err = u.needRaw(index, &o.artifact); err != nil {
			return published(name, err)
		}
	}
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
		return nil, fmt.Errorf("artifact %s: %w: not the one that the release names", a.Name, chunkstore.ErrCorrupt)
	}
	for _, chunk := range chunkstore.Distinct(one(c)) {
		u.need.Other.Chunks = append(u.need.Other.Chunks, chunk)
		u.need.Other.Locations = append(u.need.Other.Locations, u.at[chunk.ID])
	}
	return c, nil
}

// readRecipe reads the recipe, which outputs alone need too: the index runs parallel to it.
func (u *Update) readRecipe(ctx context.Context) (*mkimage.Recipe, error) {
	image := u.release.Artifact(mirror.ImageName)
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
	u.recipe = recipe
	return recipe, nil
}

// checkChunks bounds the memory that one chunk takes.
func (u *Update) checkChunks() error {
	for _, list := range []delta.List{u.need.Image, u.need.Other} {
		for _, c := range list.Chunks {
			if c.Size > chunkstore.ChunkMax {
				return fmt.Errorf("release %s: chunk %s of %d bytes: %w: %w", u.release.Version, c.ID, c.Size, mirror.ErrDamaged, chunkstore.ErrCorrupt)
			}
		}
	}
	return nil
}

// openSeeds opens the seeds that were given, and what the outputs replace.
func (u *Update) openSeeds(ctx context.Context) error {
	params := chunkstore.DefaultParams
	if u.recipe != nil {
		params = u.recipe.Chunking
	}
	for _, path := range u.r.Seeds {
		seed, err := openSeed(ctx, path, params, &u.events)
		if err != nil {
			return err
		}
		u.seeds.list = append(u.seeds.list, seed)
	}
	for _, o := range u.outputs {
		if seed, err := openSeed(ctx, o.path, params, &events{}); err == nil {
			u.seeds.list = append(u.seeds.list, seed)
		}
	}
	return ctx.Err()
}

// contents gives the contents that are needed.
func (u *Update) contents() iter.Seq[*chunkstore.Content] {
	return func(yield func(*chunkstore.Content) bool) {
		if u.raw != nil && !yield(u.raw) {
			return
		}
		if u.image != nil && u.raw == nil {
			for c := range u.recipe.Contents() {
				if !yield(c) {
					return
				}
			}
		}
		for _, o := range u.outputs {
			if !yield(o.content) {
				return
			}
		}
	}
}

// replan plans anew with what is on disk now.
func (u *Update) replan() error {
	plan, err := delta.NewPlan(u.need, have{cache: u.state.cache, seeds: u.seeds}, u.r.Line, delta.Options{Parallel: u.r.Parallel})
	if errors.Is(err, chunkstore.ErrCorrupt) {
		return published(mirror.IndexPath(u.release.Index.ID), err)
	}
	if err != nil {
		return fmt.Errorf("release %s: %w", u.release.Version, err)
	}
	u.plan = plan
	return nil
}

func (u *Update) setQuote() {
	stats := u.r.Client.Stats()
	u.quote = Quote{
		Version:      u.release.Version,
		Route:        "none",
		MetaBytes:    stats.BytesBody,
		MetaRequests: stats.Requests,
		Current:      u.current,
	}
	if image := u.release.Artifact(mirror.ImageName); image != nil {
		u.quote.ImageSize = image.Size
	}
	p := u.plan
	if p == nil {
		return
	}
	if u.image != nil {
		u.quote.Route = p.Route.String()
	}
	u.quote.Bytes, u.quote.Requests = p.Bytes, p.Requests
	u.quote.Time = p.Estimate(u.meta.line, u.r.Parallel)
	u.quote.ChunksHave, u.quote.ChunksCached, u.quote.ChunksFetch = p.ChunksHave, p.ChunksCached, p.ChunksFetch
}

// one is a sequence of one content.
func one(c *chunkstore.Content) iter.Seq[*chunkstore.Content] {
	return slices.Values([]*chunkstore.Content{c})
}

// holds tells whether the slot already has the object's bytes. A slot that starts with
// zeros is not read: that is what an interrupted update leaves.
func holds(ctx context.Context, slot Slot, o mirror.Object) (bool, error) {
	head := make([]byte, headSize)
	if n, err := slot.ReadAt(head, 0); err != nil && err != io.EOF {
		return false, fmt.Errorf("slot %s: %w", slot.Name(), err)
	} else if bytes.Equal(head[:n], make([]byte, n)) {
		return false, nil
	}
	if _, err := slot.ReadAt(head[:1], o.Size-1); err != nil {
		return false, nil // shorter; a medium that cannot be read shows when it is written
	}
	id, err := readBack(ctx, slot, o.Size, nil, &events{})
	if err != nil && ctx.Err() == nil {
		return false, nil
	}
	return id == o.ID, err
}
