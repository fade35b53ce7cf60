package check

import (
	"context"
	"errors"
	"fmt"
	"os"

	"deltaup/artifact"
	"deltaup/chunkstore"
	"deltaup/delta/patchset"
	"deltaup/mirror"
	"deltaup/mirror/internal/verify"
	"deltaup/mkimage"
)

// beside verifies an artifact that is rebuilt beside the image: its recipe, that all chunks are
// there which the image lacks, that it builds what is published, and the patch sets that lead to
// it. image is the image's recipe, nil when it is not known. The error is the context's.
func (c *checker) beside(ctx context.Context, version string, a *mirror.Artifact,
	image *mkimage.Recipe) error {
	recipe := c.besideRecipe(ctx, version, a, image)
	if c.besideIndex(ctx, version, a, recipe, image) {
		if err := c.rebuild(ctx, a, recipe); err != nil {
			return err
		}
	}
	e := &besideEnds{checker: c, artifact: a, image: image, to: recipe}
	defer e.close()
	return c.patches(ctx, version, a.Patches, e)
}

// besideRecipe returns an artifact's stored recipe, nil when it or the image's is damaged.
func (c *checker) besideRecipe(ctx context.Context, version string, a *mirror.Artifact,
	image *mkimage.Recipe) artifact.Recipe {
	name := mirror.RecipePath(a.Recipe.ID)
	if !c.object(version, name, a.Recipe.Size) || image == nil {
		return nil
	}
	stored, err := mirror.ReadFile(ctx, c.mirror, name, mirror.MaxRecipeSize)
	if err == nil {
		var r artifact.Recipe
		if r, err = a.DecodeBeside(stored, image); err == nil {
			return r
		}
	}
	c.damage(name, err.Error())
	return nil
}

// besideIndex verifies where an artifact's own chunks lie. It tells whether recipe, which may be
// nil, and they are good.
func (c *checker) besideIndex(ctx context.Context, version string, a *mirror.Artifact,
	recipe artifact.Recipe, image *mkimage.Recipe) bool {
	var chunks []chunkstore.Chunk
	if recipe != nil {
		chunks = artifact.OwnChunks(recipe, image)
	}
	if a.Index == nil {
		if len(chunks) > 0 {
			c.damage(mirror.ReleasePath(version), "has no index for the "+a.Name)
		}
		return recipe != nil && len(chunks) == 0
	}
	x := c.readIndex(ctx, version, *a.Index)
	if x == nil {
		c.blind = true
		return false
	}
	name := mirror.IndexPath(a.Index.ID)
	for i := range x.Raw {
		if l := &x.Raw[i]; l.Name != a.Name || l.Content.ID != a.ID {
			c.damage(name, "has another artifact "+l.Name)
		}
	}
	good := recipe != nil
	if good {
		if _, err := x.Locations(chunks); err != nil {
			c.damage(name, err.Error())
			chunks, good = nil, false
		}
	}
	c.packs(ctx, version, name, x, chunks)
	return good
}

// rebuild builds an artifact out of the mirror's packs, for it lies nowhere whole.
func (c *checker) rebuild(ctx context.Context, a *mirror.Artifact, recipe artifact.Recipe) error {
	folder, err := c.folder()
	if err != nil {
		return nil // a damaged pack, which is found elsewhere
	}
	contents := &watchedContents{contents: patchset.FromStore(folder)}
	h := chunkstore.NewHasher()
	_, err = recipe.Build(ctx, verify.ContentSource{Contents: contents}, h)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case contents.failed: // found elsewhere
	case errors.Is(err, mkimage.ErrUnknownCodec): // another deltaup builds it
	case err != nil:
		c.damage(mirror.RecipePath(a.Recipe.ID), err.Error())
	case h.ID() != a.ID:
		c.damage(mirror.RecipePath(a.Recipe.ID),
			fmt.Sprintf("builds an artifact with the hash %s, not %s", h.ID(), a.ID))
	}
	return nil
}

// besideEnds are the ends of patch sets that lead to an artifact beside the image.
type besideEnds struct {
	*checker
	artifact *mirror.Artifact
	image    *mkimage.Recipe // nil when it is not known
	to       artifact.Recipe // of artifact; nil when it is not known
	old      *verify.Old     // what lead gave last; nil: nothing
}

func (e *besideEnds) joins(*verify.Set, *mirror.Patch) error { return nil }

func (e *besideEnds) lead(ctx context.Context, p *mirror.Patch, old patchset.Contents) verify.Lead {
	r, err := verify.Release(ctx, e.mirror, p.From)
	if err != nil || e.image == nil {
		return nil
	}
	a := r.Before(e.artifact.Name)
	if a == nil || a.ID != p.File {
		return nil // the version was published anew with another one
	}
	e.close()
	e.old, err = (&verify.OldReader{Files: e.mirror, Packs: old, Temp: newTemp}).Beside(ctx, r, a)
	if err != nil {
		return nil
	}
	return &verify.BesideLead{
		Kind: e.artifact.Beside(), From: e.old.Recipe, Old: e.old.Contents, Image: e.image,
		To: e.to,
	}
}

// close frees what lead opened last.
func (e *besideEnds) close() {
	if e.old != nil {
		e.old.Close()
		e.old = nil
	}
}

// newTemp makes a temporary file, not on the mirror, which is only read.
func newTemp(context.Context) (verify.Temp, error) {
	f, err := os.CreateTemp("", "deltaup-check")
	return temp{f}, err
}

type temp struct{ *os.File }

// Discard implements verify.Temp.
func (t temp) Discard() {
	t.Close()
	os.Remove(t.Name())
}

// check applies the set: it is small.
func (e *besideEnds) check(ctx context.Context, s *verify.Set, p *mirror.Patch) error {
	return e.apply(ctx, s, p, e)
}
