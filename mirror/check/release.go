package check

import (
	"context"
	"errors"
	"fmt"
	"io"

	"deltaup/chunkstore"
	"deltaup/mirror"
	"deltaup/mirror/internal/verify"
	"deltaup/mkimage"
)

// release verifies one release file and that all it names fits together. The bytes of the files
// that it names have been verified before. The error is the context's.
func (c *checker) release(ctx context.Context, version string) error {
	c.report.Releases++
	name := mirror.ReleasePath(version)
	c.need(name, version)
	r, err := verify.Release(ctx, c.mirror, version)
	switch {
	case err != nil:
		c.damage(name, err.Error())
		c.blind = true
		return nil
	case r.Version != version:
		c.damage(name, fmt.Sprintf("is that of version %s", r.Version))
	}
	c.verified(name)

	var image []chunkstore.Chunk
	known := true // all that the index has to fit to
	if a := &r.Artifacts[0]; a.Kind == mirror.KindSquashfs {
		whole := c.object(version, mirror.ImagePath(a.ID), a.Size)
		recipe := c.recipe(ctx, version, *a.Recipe)
		if known = recipe != nil; known {
			image = recipe.Chunks()
		}
		if err := c.blockmap(ctx, version, a, whole); err != nil {
			return err
		}
		for _, a := range r.Beside() {
			if err := c.beside(ctx, version, a, recipe); err != nil {
				return err
			}
		}
	}
	c.index(ctx, version, r, image, known)
	if len(r.Patches) == 0 {
		return nil
	}
	to := r.Artifact(mirror.ImageName).Recipe.Text
	return c.patches(ctx, version, r.Patches, &imageEnds{c, to})
}

// index verifies a release's index and the packs in it. image are the recipe's chunks, if they are
// known.
func (c *checker) index(ctx context.Context, version string, r *mirror.Release,
	image []chunkstore.Chunk, known bool) {
	name := mirror.IndexPath(r.Index.ID)
	x := c.readIndex(ctx, version, r.Index)
	if x == nil {
		c.blind = true
		return
	}
	if known {
		if _, err := x.Locations(image); err != nil {
			c.damage(name, err.Error())
			return
		}
	}
	if err := rawsAgree(r, x); err != nil {
		c.damage(name, err.Error())
	}
	c.packs(ctx, version, name, x, image)
}

// recipe returns a stored recipe, nil when it is damaged.
func (c *checker) recipe(ctx context.Context, version string,
	o mirror.RecipeObject) *mkimage.Recipe {
	name := mirror.RecipePath(o.ID)
	if !c.object(version, name, o.Size) {
		return nil
	}
	stored, err := mirror.ReadFile(ctx, c.mirror, name, mirror.MaxRecipeSize)
	if err == nil {
		var r *mkimage.Recipe
		if r, err = o.Decode(stored); err == nil {
			return r
		}
	}
	c.damage(name, err.Error())
	return nil
}

// readIndex returns an index, nil when it is damaged.
func (c *checker) readIndex(ctx context.Context, version string,
	o mirror.Object) *chunkstore.Index {
	name := mirror.IndexPath(o.ID)
	if !c.object(version, name, o.Size) {
		return nil
	}
	b, err := mirror.ReadFile(ctx, c.mirror, name, mirror.MaxIndexSize)
	if err == nil {
		var x *chunkstore.Index
		if x, err = chunkstore.ParseIndex(b); err == nil {
			return x
		}
	}
	c.damage(name, err.Error())
	return nil
}

// rawsAgree holds the raw artifacts of a release against those of its index.
func rawsAgree(r *mirror.Release, x *chunkstore.Index) error {
	n := 0
	for i := range r.Artifacts {
		a := &r.Artifacts[i]
		if a.Kind != mirror.KindRaw {
			continue
		}
		if n == len(x.Raw) {
			return fmt.Errorf("lacks the artifact %s", a.Name)
		}
		l := &x.Raw[n]
		if l.Name != a.Name || l.Content.ID != a.ID || l.Content.Size != a.Size {
			return fmt.Errorf("has another artifact %s than %s", l.Name,
				mirror.ReleasePath(r.Version))
		}
		n++
	}
	if n != len(x.Raw) {
		return fmt.Errorf("has the artifact %s, which %s lacks", x.Raw[n].Name,
			mirror.ReleasePath(r.Version))
	}
	return nil
}

// packs verifies that every chunk of a release lies where its index says. image are the recipe's
// chunks, nil when they are not known.
func (c *checker) packs(ctx context.Context, version, index string, x *chunkstore.Index,
	image []chunkstore.Chunk) {
	wanted := map[chunkstore.ID][]chunkstore.PackEntry{}
	want := func(chunks []chunkstore.Chunk, at []chunkstore.Location) {
		for i, ch := range chunks {
			wanted[at[i].Pack] = append(wanted[at[i].Pack],
				chunkstore.PackEntry{Chunk: ch, Offset: at[i].Offset, Length: at[i].Length})
		}
	}
	want(image, x.Image)
	for i := range x.Raw {
		l := &x.Raw[i]
		want(chunkstore.Distinct(func(yield func(*chunkstore.Content) bool) { yield(&l.Content) }),
			l.Locations)
	}
	for _, p := range x.Packs {
		name := mirror.PackPath(p.ID)
		if !c.object(version, name, p.Size) {
			continue
		}
		table, err := c.packTable(ctx, name)
		if err != nil {
			c.damage(name, err.Error())
			continue
		}
		if lacks := missing(table, wanted[p.ID]); lacks != nil {
			c.damage(index, fmt.Sprintf("places chunk %s at %d in %s, where it does not lie",
				lacks.ID, lacks.Offset, name))
		}
	}
}

// missing returns the first wanted entry that a table lacks, nil when it has all.
func missing(table, wanted []chunkstore.PackEntry) *chunkstore.PackEntry {
	at := make(map[int64]chunkstore.PackEntry, len(table))
	for _, e := range table {
		at[e.Offset] = e
	}
	for i, w := range wanted {
		if at[w.Offset] != w {
			return &wanted[i]
		}
	}
	return nil
}

func (c *checker) packTable(ctx context.Context, name string) ([]chunkstore.PackEntry, error) {
	f, err := c.mirror.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer f.Close() // read only
	return chunkstore.ReadPackTable(f, f.Size())
}

// checkFrames decodes every chunk of a pack.
func checkFrames(ctx context.Context, f io.ReaderAt, size int64) error {
	table, err := chunkstore.ReadPackTable(f, size)
	if err != nil {
		return err
	}
	var frame, plain []byte
	for _, e := range table {
		if err := ctx.Err(); err != nil {
			return err
		}
		if int64(cap(frame)) < e.Length {
			frame = make([]byte, e.Length)
		}
		frame = frame[:e.Length]
		if _, err := f.ReadAt(frame, e.Offset); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if plain, err = chunkstore.DecodeFrame(plain[:0], frame, e.Chunk); err != nil {
			return err
		}
	}
	return nil
}
