package publish

import (
	"context"
	"fmt"
	"io"
	"time"

	"deltaup/chunkstore"
	"deltaup/delta/initrdset"
	"deltaup/delta/patchset"
	"deltaup/internal/durable"
	"deltaup/mirror"
	"deltaup/mirror/internal/verify"
	"deltaup/mkimage/initrd"
)

// initrds makes patch sets from the initrds of old releases to the new one, a, whose chunks are on
// the mirror. What is wrong with one of those is a warning, as in all.
func (p *patching) initrds(ctx context.Context, releases []*mirror.Release, a *mirror.Artifact, recipe *initrd.Recipe) ([]mirror.InitrdPatch, error) {
	var patches []mirror.InitrdPatch
	seen := map[chunkstore.ID]bool{a.ID: true}
	for _, old := range releases {
		from := old.Artifact(mirror.InitrdName)
		if from == nil || from.Kind != mirror.KindInitrd || seen[from.ID] {
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
func (p *patching) fromInitrd(ctx context.Context, old *mirror.Release, recipe *initrd.Recipe) (*mirror.InitrdPatch, error) {
	begin := time.Now()
	from, err := verify.Initrd(p.u.path, old)
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
			patchset.MakeOptions{Progress: p.u.progress(StagePatch, setName(mirror.InitrdName, old))})
	})
	if err != nil {
		return nil, err
	}
	want := mirror.InitrdPatch{
		From:   old.Version,
		Initrd: old.Artifact(mirror.InitrdName).ID,
		Set:    set,
		Head:   mirror.Object{ID: made.ID, Size: made.HeadSize},
	}
	if err := verify.ApplyInitrd(ctx, f, &want, from, p.to, patchset.FromStore(p.folder)); err != nil {
		return nil, &sourceError{fmt.Errorf("apply it: %w", err)}
	}
	if err := p.u.commitFile(ctx, f, mirror.PatchPath(set.ID), set); err != nil {
		return nil, err
	}
	p.out.Patches = append(p.out.Patches, PatchStats{
		Artifact: mirror.InitrdName, From: old.Version, Size: set.Size, Contents: countContents(made), Time: time.Since(begin),
	})
	return &want, nil
}
