package mirror

import (
	"context"
	"fmt"
	"io"
	"time"

	"deltaup/chunkstore"
	"deltaup/delta/initrdset"
	"deltaup/delta/patchset"
	"deltaup/internal/durable"
	"deltaup/mkimage"
	"deltaup/mkimage/initrd"
)

// initrds makes patch sets from the initrds of old releases to the new one, a, whose chunks are on
// the mirror. What is wrong with one of those is a warning, as in all.
func (p *patching) initrds(ctx context.Context, releases []*Release, a *Artifact,
	recipe *initrd.Recipe) ([]InitrdPatch, error) {
	var patches []InitrdPatch
	seen := map[chunkstore.ID]bool{a.ID: true}
	for _, old := range releases {
		from := old.Artifact(InitrdName)
		if from == nil || from.Kind != KindInitrd || seen[from.ID] {
			continue // nothing to lead from, or a set has been made from the same initrd
		}
		seen[from.ID] = true
		patch, err := p.fromInitrd(ctx, old, recipe)
		if err == nil {
			patches = append(patches, *patch)
		} else if err = p.without(ctx, "patch set from the initrd of "+old.Version, err); err != nil {
			return nil, err
		}
	}
	return patches, nil
}

// fromInitrd makes one patch set, proves it and gives it its name.
func (p *patching) fromInitrd(ctx context.Context, old *Release,
	recipe *initrd.Recipe) (*InitrdPatch, error) {
	begin := time.Now()
	from, err := readInitrd(p.u.path, old)
	if err != nil {
		return nil, &sourceError{err}
	}
	f, err := durable.Create(p.u.tmp)
	if err != nil {
		return nil, err
	}
	defer f.Discard()
	set, made, err := writeSet(f, func(w io.Writer) (*patchset.Stats, error) {
		return initrdset.Make(ctx, w, from, recipe, p.to, p.folder,
			patchset.MakeOptions{Progress: p.u.progress(StepPatch, setName(InitrdName, old))})
	})
	if err != nil {
		return nil, err
	}
	want := InitrdPatch{
		From:   old.Version,
		Initrd: old.Artifact(InitrdName).ID,
		Set:    set,
		Head:   Object{ID: made.ID, Size: made.HeadSize},
	}
	if err := applyInitrdSet(ctx, f, &want, from, p.to, patchset.FromStore(p.folder)); err != nil {
		return nil, &sourceError{fmt.Errorf("apply it: %w", err)}
	}
	if err := p.u.commitFile(ctx, f, PatchPath(set.ID), set); err != nil {
		return nil, err
	}
	p.out.Patches = append(p.out.Patches, PatchStats{
		Artifact: InitrdName, From: old.Version, Size: set.Size, Contents: countContents(made), Time: time.Since(begin),
	})
	return &want, nil
}

// applyInitrdSet reads a whole patch set as a target does, and demands that it gives all that it
// promises. from is the initrd that it leads from, whose contents old opens, image the one beside
// the initrd that it leads to.
func applyInitrdSet(ctx context.Context, file io.ReaderAt, p *InitrdPatch, from *initrd.Recipe,
	image *mkimage.Recipe, old patchset.Contents) error {
	opened, step, err := openInitrdSet(file, p, from, image)
	if err != nil {
		return err
	}
	known := map[chunkstore.ID]*chunkstore.Content{}
	for c := range from.Contents() {
		known[c.ID] = c
	}
	base := func(c *chunkstore.Content) (io.ReaderAt, error) { return old.Open(ctx, known[c.ID]) }
	return step.Apply(ctx, opened.stored, base,
		func(*chunkstore.Content, []byte) error { return nil })
}

func openInitrdSet(file io.ReaderAt, p *InitrdPatch, from *initrd.Recipe,
	image *mkimage.Recipe) (*openedSet, *initrdset.Set, error) {
	opened, err := openSet(file, p.Set, p.Head)
	if err != nil {
		return nil, nil, err
	}
	if len(opened.head.Groups) == 0 {
		return nil, nil, fmt.Errorf("%w: it is empty", chunkstore.ErrCorrupt)
	}
	first, err := opened.stored(0)
	if err != nil {
		return nil, nil, err
	}
	step, err := initrdset.Open(opened.head, from, image, first)
	return opened, step, err
}

// readInitrd reads the recipe of a release's initrd from a mirror's folder, with the image's, which
// it needs.
func readInitrd(path func(name string) string, r *Release) (*initrd.Recipe, error) {
	image, err := readStored(path, r.Artifact(ImageName).Recipe)
	if err != nil {
		return nil, err
	}
	o := r.Artifact(InitrdName).Recipe
	stored, err := readVerified(path(RecipePath(o.ID)), o.Object, MaxRecipeSize)
	if err != nil {
		return nil, err
	}
	return o.DecodeInitrd(stored, image)
}
