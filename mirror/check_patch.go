package mirror

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"

	"deltaup/chunkstore"
	"deltaup/delta/patchset"
	"deltaup/mkimage"
	"deltaup/mkimage/blockmap"
	"deltaup/mkimage/squashfs"
)

// blockmap verifies the block map of a release's image, and holds it against the image when that is
// whole.
func (c *checker) blockmap(ctx context.Context, version string, a *Artifact, whole bool) error {
	if a.Blockmap == nil {
		return nil
	}
	name := BlockmapPath(a.Blockmap.ID)
	if !c.object(version, name, a.Blockmap.Size) {
		return nil
	}
	file, err := readSmall(c.path(name), MaxBlockmapSize)
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
func (c *checker) mapImage(ctx context.Context, a *Artifact) (*blockmap.Map, error) {
	f, err := os.Open(c.path(ImagePath(a.ID)))
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
func (c *checker) patches(ctx context.Context, r *Release) error {
	for i := range r.Patches {
		p := &r.Patches[i]
		name := PatchPath(p.Set.ID)
		if !c.object(r.Version, name, p.Set.Size) {
			continue
		}
		err := c.patch(ctx, p, r.Artifact(ImageName).Recipe.Text)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			c.damage(name, err.Error())
		}
	}
	return nil
}

func (c *checker) patch(ctx context.Context, p *Patch, to chunkstore.ID) error {
	f, err := os.Open(c.path(PatchPath(p.Set.ID)))
	if err != nil {
		return err
	}
	defer f.Close()
	set, err := openPatch(f, p, to)
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
	step, err := set.head.Step(from)
	if err != nil {
		return err
	}
	for n := range set.head.Groups {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := set.group(step, n); err != nil {
			return err
		}
	}
	return nil
}

// oldRecipe finds the recipe that a set leads from, nil when it is not on the mirror any more or
// damaged, which is said elsewhere.
func (c *checker) oldRecipe(p *Patch) *mkimage.Recipe {
	old, err := readRelease(c.path(ReleasePath(p.From)))
	if err != nil {
		return nil
	}
	a := old.Artifact(ImageName)
	if a == nil || a.Recipe == nil || a.Recipe.Text != p.Recipe {
		return nil // the version was published anew with another image
	}
	r, err := readStored(c.path, a.Recipe)
	if err != nil {
		return nil
	}
	return r
}

// apply applies a whole set to contents out of the mirror's packs.
func (c *checker) apply(ctx context.Context, f *os.File, p *Patch, from *mkimage.Recipe,
	to chunkstore.ID) error {
	folder, err := c.folder()
	if err != nil {
		return nil // a damaged pack, which is not the set's fault
	}
	old := &watchedContents{contents: patchset.FromStore(folder)}
	err = applySet(ctx, f, p, from, old, to, func(done, total int64) {})
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
