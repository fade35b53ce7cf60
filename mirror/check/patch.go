package check

import (
	"context"
	"errors"
	"fmt"
	"io"
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
func (c *checker) blockmap(ctx context.Context, version string, a *mirror.Artifact,
	whole bool) error {
	if a.Blockmap == nil {
		return nil
	}
	name := mirror.BlockmapPath(a.Blockmap.ID)
	if !c.object(version, name, a.Blockmap.Size) {
		return nil
	}
	file, err := mirror.ReadFile(ctx, c.mirror, name, mirror.MaxBlockmapSize)
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
	f, err := c.mirror.Open(ctx, mirror.ImagePath(a.ID))
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

// ends are both ends of the patch sets that lead to one artifact.
type ends interface {
	// joins holds an opened set against the release's entry.
	joins(s *verify.Set, p *mirror.Patch) error
	// lead finds what a set leads from, with its contents, nil when it is not on the mirror any
	// more or damaged, which is said elsewhere.
	lead(ctx context.Context, p *mirror.Patch, old patchset.Contents) verify.Lead
	// check looks into a set.
	check(ctx context.Context, s *verify.Set, p *mirror.Patch) error
}

// patches verifies the patch sets that lead to an artifact: their heads, and all groups of those
// whose old release is there.
func (c *checker) patches(ctx context.Context, version string, list []mirror.Patch, e ends) error {
	for i := range list {
		p := &list[i]
		name := mirror.PatchPath(p.Set.ID)
		if !c.object(version, name, p.Set.Size) {
			continue
		}
		err := c.patch(ctx, p, e)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			c.damage(name, err.Error())
		}
	}
	return nil
}

func (c *checker) patch(ctx context.Context, p *mirror.Patch, e ends) error {
	f, err := c.mirror.Open(ctx, mirror.PatchPath(p.Set.ID))
	if err != nil {
		return err
	}
	defer f.Close() // read only
	s, err := verify.OpenSet(f, p)
	if err != nil {
		return err
	}
	if err := e.joins(s, p); err != nil {
		return err
	}
	return e.check(ctx, s, p)
}

// apply applies a whole set to contents out of the mirror's packs.
func (c *checker) apply(ctx context.Context, s *verify.Set, p *mirror.Patch, e ends) error {
	folder, err := c.folder()
	if err != nil {
		return nil // a damaged pack, which is not the set's fault
	}
	old := &watchedContents{contents: patchset.FromStore(folder)}
	lead := e.lead(ctx, p, old)
	if lead == nil {
		return nil
	}
	err = lead.Apply(ctx, s, func(done, total int64) {})
	if err != nil && !old.failed {
		return fmt.Errorf("does not apply: %w", err)
	}
	return nil
}

// imageEnds are the ends of patch sets that lead to the image.
type imageEnds struct {
	*checker
	to chunkstore.ID // the text of its recipe
}

func (e *imageEnds) joins(s *verify.Set, p *mirror.Patch) error { return s.Joins(p, e.to) }

func (e *imageEnds) lead(ctx context.Context, p *mirror.Patch, old patchset.Contents) verify.Lead {
	from := e.from(ctx, p)
	if from == nil {
		return nil
	}
	return &verify.ImageLead{From: from, Old: old, To: e.to}
}

// from finds the recipe that a set leads from, nil as lead says.
func (e *imageEnds) from(ctx context.Context, p *mirror.Patch) *mkimage.Recipe {
	old, err := verify.Release(ctx, e.mirror, p.From)
	if err != nil {
		return nil
	}
	a := old.Artifact(mirror.ImageName)
	if a == nil || a.Recipe == nil || a.Recipe.Text != p.Recipe {
		return nil // the version was published anew with another image
	}
	r, err := mirror.ReadRecipe(ctx, e.mirror, a.Recipe)
	if err != nil {
		return nil
	}
	return r
}

// check decodes all groups, or applies the set when it is to be thorough.
func (e *imageEnds) check(ctx context.Context, s *verify.Set, p *mirror.Patch) error {
	if e.options.Deep {
		return e.apply(ctx, s, p, e)
	}
	from := e.from(ctx, p)
	if from == nil {
		return nil
	}
	step, err := s.Head.Step(from)
	if err != nil {
		return err
	}
	groups := s.Groups(step)
	for n := range s.Head.Groups {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := groups.Open(n); err != nil {
			return err
		}
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
