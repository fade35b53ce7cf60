package check

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"deltaup/chunkstore"
	"deltaup/delta/patchset"
	"deltaup/mirror"
	"deltaup/mirror/internal/verify"
	"deltaup/mkimage"
	"deltaup/mkimage/initrd"
)

// initrd verifies the initrd of a release: its recipe, that all chunks are there which the image
// lacks, that it builds what is published, and the patch sets that lead to it. image is the image's
// recipe, nil when it is not known. The error is the context's.
func (c *checker) initrd(ctx context.Context, r *mirror.Release, image *mkimage.Recipe) error {
	a := r.Artifact(mirror.InitrdName)
	recipe := c.initrdRecipe(r.Version, a, image)
	if c.initrdIndex(r.Version, a, recipe, image) {
		if err := c.rebuild(ctx, a, recipe); err != nil {
			return err
		}
	}
	for i := range a.Patches {
		p := &a.Patches[i]
		name := mirror.PatchPath(p.Set.ID)
		if !c.object(r.Version, name, p.Set.Size) {
			continue
		}
		err := c.initrdPatch(ctx, p, image)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			c.damage(name, err.Error())
		}
	}
	return nil
}

// initrdRecipe returns an initrd's stored recipe, nil when it or the image's is damaged.
func (c *checker) initrdRecipe(version string, a *mirror.Artifact, image *mkimage.Recipe) *initrd.Recipe {
	name := mirror.RecipePath(a.Recipe.ID)
	if !c.object(version, name, a.Recipe.Size) || image == nil {
		return nil
	}
	stored, err := verify.Small(c.path(name), mirror.MaxRecipeSize)
	if err == nil {
		var r *initrd.Recipe
		if r, err = a.Recipe.DecodeInitrd(stored, image); err == nil {
			return r
		}
	}
	c.damage(name, err.Error())
	return nil
}

// initrdIndex verifies where an initrd's own chunks lie. It tells whether recipe, which may be nil,
// and they are good.
func (c *checker) initrdIndex(version string, a *mirror.Artifact, recipe *initrd.Recipe,
	image *mkimage.Recipe) bool {
	var chunks []chunkstore.Chunk
	if recipe != nil {
		chunks = mirror.InitrdChunks(recipe, image)
	}
	if a.Index == nil {
		if len(chunks) > 0 {
			c.damage(mirror.ReleasePath(version), "has no index for the initrd")
		}
		return recipe != nil && len(chunks) == 0
	}
	x := c.readIndex(version, *a.Index)
	if x == nil {
		c.blind = true
		return false
	}
	name := mirror.IndexPath(a.Index.ID)
	good := recipe != nil
	if good {
		if _, err := x.Locations(chunks); err != nil {
			c.damage(name, err.Error())
			chunks, good = nil, false
		}
	}
	c.packs(version, name, x, chunks)
	return good
}

// rebuild builds an initrd out of the mirror's packs, for it lies nowhere whole.
func (c *checker) rebuild(ctx context.Context, a *mirror.Artifact, recipe *initrd.Recipe) error {
	folder, err := c.folder()
	if err != nil {
		return nil // a damaged pack, which is found elsewhere
	}
	contents := &watchedContents{contents: patchset.FromStore(folder)}
	w := verify.NewWriter(io.Discard)
	_, err = initrd.Build(ctx, recipe, contentSource{contents}, w, initrd.BuildOptions{})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case contents.failed,
		errors.Is(err, mkimage.ErrUnknownCodec): // found elsewhere, or for another deltaup to build
	case err != nil:
		c.damage(mirror.RecipePath(a.Recipe.ID), err.Error())
	case w.ID() != a.ID:
		c.damage(mirror.RecipePath(a.Recipe.ID),
			fmt.Sprintf("builds an initrd with the hash %s, not %s", w.ID(), a.ID))
	}
	return nil
}

// contentSource is a mkimage.Source.
type contentSource struct{ contents patchset.Contents }

func (s contentSource) Open(ctx context.Context, c *chunkstore.Content) (io.ReadCloser, error) {
	r, err := s.contents.Open(ctx, c)
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.NewSectionReader(r, 0, c.Size), r}, nil
}

// initrdPatch verifies a patch set of an initrd: its head, its groups by their hashes and, when the
// older initrd is on the mirror, that it gives all that the new one needs.
func (c *checker) initrdPatch(ctx context.Context, p *mirror.InitrdPatch, image *mkimage.Recipe) error {
	f, err := os.Open(c.path(mirror.PatchPath(p.Set.ID)))
	if err != nil {
		return err
	}
	defer f.Close() // read only
	if _, err := verify.OpenSet(f, p.Set, p.Head); err != nil {
		return err
	}
	from := c.oldInitrd(p)
	folder, err := c.folder()
	if err != nil || from == nil || image == nil {
		return nil // damage that is found elsewhere, or a release that was deleted
	}
	old := &watchedContents{contents: patchset.FromStore(folder)}
	err = verify.ApplyInitrd(ctx, f, p, from, image, old)
	if err != nil && !old.failed {
		return fmt.Errorf("does not apply: %w", err)
	}
	return nil
}

// oldInitrd finds the recipe of the initrd that a set leads from, nil when it is not on the mirror
// any more or damaged, which is said elsewhere.
func (c *checker) oldInitrd(p *mirror.InitrdPatch) *initrd.Recipe {
	old, err := verify.Release(c.path(mirror.ReleasePath(p.From)))
	if err != nil {
		return nil
	}
	a := old.Artifact(mirror.InitrdName)
	if a == nil || a.Kind != mirror.KindInitrd || a.ID != p.Initrd {
		return nil // the version was published anew with another initrd
	}
	r, err := verify.Initrd(c.path, old)
	if err != nil {
		return nil
	}
	return r
}
