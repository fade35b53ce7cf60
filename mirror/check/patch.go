package check

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"

	"deltaup/chunkstore"
	"deltaup/delta/patchset"
	"deltaup/mirror"
	"deltaup/mirror/internal/verify"
	"deltaup/mkimage"
	"deltaup/mkimage/blockmap"
	"deltaup/mkimage/squashfs"
)

// blockmap verifies the block map of a release's image, and holds it against the image when that is
// whole.
func (c *checker) blockmap(ctx context.Context, version string, a *mirror.Artifact, whole bool) error {
	if a.Blockmap == nil {
		return nil
	}
	name := mirror.BlockmapPath(a.Blockmap.ID)
	if !c.object(version, name, a.Blockmap.Size) {
		return nil
	}
	file, err := verify.Small(c.path(name), mirror.MaxBlockmapSize)
	var blocks *blockmap.Map
	if err == nil {
		blocks, err = blockmap.Parse(file, a.Size)
	}
	if err == nil && whole {
		var made *blockmap.Map
		if made, err = c.mapImage(ctx, a); err == nil && !reflect.DeepEqual(made, blocks) {
			err = errors.New("is not that of the image")
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		c.damage(name, err.Error())
	}
	return nil
}

// mapImage maps an image on the mirror.
func (c *checker) mapImage(ctx context.Context, a *mirror.Artifact) (*blockmap.Map, error) {
	f, err := os.Open(c.path(mirror.ImagePath(a.ID)))
	if err != nil {
		return nil, err
	}
	defer f.Close() // read only
	m, err := squashfs.Open(f, a.Size)
	if err != nil {
		return nil, err
	}
	return blockmap.Make(ctx, m, f, a.Size)
}

// patches verifies a release's patch sets: their heads, and all groups of those whose old release
// is there.
func (c *checker) patches(ctx context.Context, r *mirror.Release) error {
	for i := range r.Patches {
		p := &r.Patches[i]
		name := mirror.PatchPath(p.Set.ID)
		if !c.object(r.Version, name, p.Set.Size) {
			continue
		}
		err := c.patch(ctx, p, r.Artifact(mirror.ImageName).Recipe.Text)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			c.damage(name, err.Error())
		}
	}
	return nil
}

func (c *checker) patch(ctx context.Context, p *mirror.Patch, to chunkstore.ID) error {
	f, err := os.Open(c.path(mirror.PatchPath(p.Set.ID)))
	if err != nil {
		return err
	}
	defer f.Close()
	set, err := verify.OpenPatch(f, p, to)
	if err != nil {
		return err
	}
	from := c.oldRecipe(p)
	if from == nil {
		return nil
	}
	if c.options.Deep {
		return c.apply(ctx, f, p, from, to)
	}
	step, err := set.Head.Step(from)
	if err != nil {
		return err
	}
	for n := range set.Head.Groups {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := set.Group(step, n); err != nil {
			return err
		}
	}
	return nil
}

// oldRecipe finds the recipe that a set leads from, nil when it is not on the mirror any more or
// damaged, which is said elsewhere.
func (c *checker) oldRecipe(p *mirror.Patch) *mkimage.Recipe {
	old, err := verify.Release(c.path(mirror.ReleasePath(p.From)))
	if err != nil {
		return nil
	}
	a := old.Artifact(mirror.ImageName)
	if a == nil || a.Recipe == nil || a.Recipe.Text != p.Recipe {
		return nil // the version was published anew with another image
	}
	r, err := verify.Recipe(c.path, a.Recipe)
	if err != nil {
		return nil
	}
	return r
}

// apply applies a whole set to contents out of the mirror's packs.
func (c *checker) apply(ctx context.Context, f *os.File, p *mirror.Patch, from *mkimage.Recipe,
	to chunkstore.ID) error {
	folder, err := c.folder()
	if err != nil {
		return nil // a damaged pack, which is not the set's fault
	}
	old := &watchedContents{contents: patchset.FromStore(folder)}
	err = verify.Apply(ctx, f, p, from, old, to, func(done, total int64) {})
	if err != nil && !old.failed {
		return fmt.Errorf("does not apply: %w", err)
	}
	return nil
}

// watchedContents remembers whether contents could not be read, to tell that from a damaged patch
// set.
type watchedContents struct {
	contents patchset.Contents
	failed   bool
}

func (w *watchedContents) Open(ctx context.Context,
	c *chunkstore.Content) (patchset.Reading, error) {
	r, err := w.contents.Open(ctx, c)
	if err != nil {
		w.failed = true
		return nil, err
	}
	return &watchedReading{r, w}, nil
}

type watchedReading struct {
	patchset.Reading
	w *watchedContents
}

func (r *watchedReading) ReadAt(p []byte, off int64) (int, error) {
	n, err := r.Reading.ReadAt(p, off)
	if err != nil && err != io.EOF {
		r.w.failed = true
	}
	return n, err
}
