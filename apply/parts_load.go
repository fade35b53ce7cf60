package apply

import (
	"context"
	"errors"
	"fmt"

	"deltaup/artifact"
	"deltaup/chunkstore"
	"deltaup/delta"
	"deltaup/delta/patchset"
	"deltaup/mirror"
	"deltaup/mkimage"
)

// partsLoader gets what artifacts are rebuilt from beside the image: out of a patch set where one
// leads from a seed, else from the mirror.
type partsLoader struct {
	*ways
	seeds   *seeds
	release *mirror.Release
	image   *mkimage.Recipe                                // of the release's image
	withIDs func(context.Context) (*mkimage.Recipe, error) // gives image with all ids
}

// inImage gives the parts of an output that is a file of the image, whose path it adds to paths;
// nil when it is none. Nothing is fetched for such an output.
func (l *partsLoader) inImage(o *output, paths map[chunkstore.ID]string) *parts {
	a := &o.artifact
	if a.Index != nil {
		return nil
	}
	file, r := artifact.InImage(a.ID, a.Size, a.Recipe.Text, l.image)
	if file == nil {
		return nil
	}
	paths[a.ID] = file.Path
	return &parts{recipe: r}
}

// parts gets the recipe of an output, and finds out where its contents come from.
func (l *partsLoader) parts(ctx context.Context, o *output) (*parts, error) {
	x := &parts{}
	var err error
	if x.set, err = l.openSet(ctx, o); err != nil {
		return nil, err
	}
	if x.set != nil {
		x.recipe = x.set.Recipe
	} else {
		err = l.recipe(ctx, o, x)
	}
	if err == nil {
		if codec, known := x.recipe.Codec(); !known {
			err = fmt.Errorf("artifact %s: %q: %w", o.artifact.Name, codec,
				mkimage.ErrUnknownCodec)
		}
	}
	if err != nil {
		x.set.close()
		return l.asItIs(ctx, o, err)
	}
	return x, nil
}

// asItIs finds the chunks of the artifact itself, where the mirror has them, when why says that
// only a later program can make it.
func (l *partsLoader) asItIs(ctx context.Context, o *output, why error) (*parts, error) {
	a := &o.artifact
	if a.Index == nil || !errors.Is(why, chunkstore.ErrVersion) {
		return nil, why
	}
	index, err := l.index(ctx, a)
	if err != nil {
		return nil, err
	}
	for i := range index.Raw {
		if c := &index.Raw[i].Content; c.ID == a.ID && c.Size == a.Size {
			o.closed, o.pieces = true, nil
			return &parts{
				recipe: artifact.AsItIs(c, l.image.Chunking),
				chunks: delta.List{
					Chunks: chunkstore.Distinct(one(c)), Locations: index.Raw[i].Locations,
				},
			}, nil
		}
	}
	return nil, why
}

// index fetches an artifact's own index.
func (l *partsLoader) index(ctx context.Context, a *mirror.Artifact) (*chunkstore.Index, error) {
	name := mirror.IndexPath(a.Index.ID)
	stored, err := l.meta.object(ctx, name, *a.Index, mirror.MaxIndexSize)
	if err != nil {
		return nil, err
	}
	index, err := chunkstore.ParseIndex(stored)
	if err != nil {
		return nil, published(name, err)
	}
	l.notePacks(index)
	return index, nil
}

// recipe fetches the recipe as it lies on the mirror, and where its chunks are.
func (l *partsLoader) recipe(ctx context.Context, o *output, x *parts) (err error) {
	if l.image, err = l.withIDs(ctx); err != nil {
		return err
	}
	name := mirror.RecipePath(o.artifact.Recipe.ID)
	stored, err := l.meta.object(ctx, name, o.artifact.Recipe.Object, mirror.MaxRecipeSize)
	if err != nil {
		return err
	}
	if x.recipe, err = o.artifact.DecodeBeside(stored, l.image); err != nil {
		return published(name, err)
	}
	return l.locateOwn(ctx, &o.artifact, x)
}

// locateOwn finds the chunks that the artifact has and the image lacks.
func (l *partsLoader) locateOwn(ctx context.Context, a *mirror.Artifact, x *parts) error {
	chunks := artifact.OwnChunks(x.recipe, l.image)
	if a.Index == nil {
		if len(chunks) > 0 {
			return published(mirror.ReleasePath(l.release.Version),
				fmt.Errorf("no index for the %s: %w", a.Name, chunkstore.ErrCorrupt))
		}
		return nil
	}
	index, err := l.index(ctx, a)
	if err != nil {
		return err
	}
	if _, err := index.Locations(chunks); err != nil {
		return published(mirror.IndexPath(a.Index.ID), err)
	}
	x.chunks = delta.List{Chunks: chunks, Locations: index.Image}
	return nil
}

// smallSet is the size up to which a set beside an image is taken to have one group, which is
// needed whatever else is.
const smallSet = 256 << 10

// fetchSets fetches at once what openSet reads of the sets to several outputs: then only the first
// costs a round trip. What is wrong with one shows there.
func (l *partsLoader) fetchSets(ctx context.Context, outputs []*output) error {
	var ranges []delta.Range
	for _, o := range outputs {
		if o.parts != nil {
			continue
		}
		if _, s := l.setTo(o); s != nil {
			ranges = append(ranges, l.missing(s.file(), delta.Extent{Length: l.headBytes(s)})...)
		}
	}
	if len(ranges) < 2 {
		return nil
	}
	_, err := l.ranges(ctx, ranges, &counter{events: &events{}})
	return ignoreUnusable(err)
}

// setTo gives a patch set that leads from a seed to an output, nil when there is none or it was
// given up.
func (l *partsLoader) setTo(o *output) (from *seed, s *set) {
	from, p := l.seeds.fileBefore(&o.artifact)
	if p == nil || o.closed {
		return nil, nil
	}
	s = l.newSet(p, l.release)
	s.small = p.Set.Size <= smallSet
	return from, s
}

// openSet fetches what gives the recipe of an output out of a patch set, when one leads from a
// seed. When there is none, or it is of no use, which is a warning, it returns nil.
func (l *partsLoader) openSet(ctx context.Context, o *output) (*partsSet, error) {
	from, s := l.setTo(o)
	if s == nil {
		return nil, nil
	}
	x := &partsSet{set: s}
	err := l.readSet(ctx, o, x, from)
	switch {
	case err == nil && x.Set == nil:
		o.closed, o.pieces = true, nil
		return nil, nil
	case err == nil:
		return x, nil
	}
	return nil, o.closeSet(err, l.events)
}

// worth tells whether a set is taken, by the ways that it chooses: not when a step takes more
// memory than there is, or longer than to fetch as many bytes as the set saves at most.
func (l *partsLoader) worth(o *output, x *partsSet) bool {
	patched, recipes := int64(0), l.seeds.recipes(l.image)
	l.choose(x.set, recipes)
	for i := range x.step.Entries {
		e := &x.step.Entries[i]
		length, effort := e.Rewritten()
		x.large = x.large || length > patchset.PieceMax
		if !e.Stepped() {
			continue
		}
		patched += length * effort.Slow
		if l.tooLarge(recipes, x.set, e) {
			return false
		}
	}
	if patched == 0 || l.optimize == delta.ForBytes {
		return true
	}
	saved := o.artifact.Size - x.head.Groups[0].Length - x.patch.Head.Size
	for _, p := range x.pieces() {
		saved -= p.Length
	}
	return stepping(l.cpu, patched) <= l.meta.line.Carries(saved)
}

// readSet reads the head and first group, and plans for the others. It leaves x.Set nil when
// the set is not worth it.
func (l *partsLoader) readSet(ctx context.Context, o *output, x *partsSet, from *seed) error {
	var err error
	if x.head, err = l.readHead(ctx, x.set); err != nil {
		return err
	}
	if x.head.SetSize() != x.patch.Set.Size || len(x.head.Groups) == 0 {
		return published(x.name(),
			fmt.Errorf("it is not the set that the release names: %w", chunkstore.ErrCorrupt))
	}
	if x.head.TellsIDs() { // of the image's contents, too
		if l.image, err = l.withIDs(ctx); err != nil {
			return err
		}
	}
	set, err := artifact.Open(x.head, o.artifact.Beside(), from.apart.recipe, l.image)
	if err != nil {
		return published(x.name(), err)
	}
	if x.step = set.Step; !l.worth(o, x) {
		return nil
	}
	first, err := l.readGroup(ctx, x.set, 0)
	if err != nil {
		return err
	}
	if err = set.ReadRecipe(first); err != nil {
		return published(x.name(), err)
	}
	x.Set, o.pieces = set, x.pieces()
	return nil
}

// fileBefore finds the smallest of an artifact's patch sets that leads from a seed.
func (s *seeds) fileBefore(a *mirror.Artifact) (from *seed, best *mirror.Patch) {
	for _, seed := range s.list {
		if seed.apart == nil {
			continue
		}
		if p := a.PatchFrom(seed.raw.ID); p != nil && (best == nil || p.Set.Size < best.Set.Size) {
			from, best = seed, p
		}
	}
	return from, best
}

// closeSet gives the patch set up, with a warning, when err says that it is of no use. It passes
// other errors on.
func (o *output) closeSet(err error, e *events) error {
	if !unusable(err) || errors.Is(err, ErrSeed) {
		return err
	}
	e.warn("the patch set of the %s is given up: %v", o.artifact.Name, err)
	o.closed, o.pieces = true, nil
	return nil
}
