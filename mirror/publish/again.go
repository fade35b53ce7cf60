package publish

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"deltaup/chunkstore"
	"deltaup/mirror"
)

// existing returns the release when the mirror has that version with the same bytes,
// nil when it lacks the version.
func (u *publisher) existing(ctx context.Context, in *inputs) (*mirror.Release, error) {
	name := mirror.ReleasePath(u.p.Version)
	b, err := mirror.ReadFile(ctx, u.store, name, mirror.MaxReleaseSize)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r, err := mirror.ParseRelease(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", name, mirror.ErrDamaged, err)
	}
	// Recipes and indexes may be compressed otherwise by another deltaup: the artifacts decide.
	same := r.Compatible == u.p.Compatible && len(r.Artifacts) == len(in.files)
	for i := 0; same && i < len(in.files); i++ {
		a, f := &r.Artifacts[i], in.files[i]
		same = a.Name == f.name && a.Kind == f.kind && a.Object == f.object
	}
	if !same {
		return nil, fmt.Errorf("%s: %w", name, ErrExists)
	}
	return r, u.present(ctx, r)
}

// present makes sure that a release that is to be pointed to has all of its files. All are
// hashed but packs, which are many and whose sizes are compared; Check reads them too.
func (u *publisher) present(ctx context.Context, r *mirror.Release) error {
	want := map[string]mirror.Object{}
	indexes := []chunkstore.ID{r.Index.ID}
	for _, a := range r.Artifacts {
		if a.Kind == mirror.KindSquashfs {
			want[mirror.ImagePath(a.ID)] = a.Object
		}
		if a.Recipe != nil {
			want[mirror.RecipePath(a.Recipe.ID)] = a.Recipe.Object
		}
		if a.Index != nil {
			want[mirror.IndexPath(a.Index.ID)] = *a.Index
			indexes = append(indexes, a.Index.ID)
		}
		if a.Blockmap != nil {
			want[mirror.BlockmapPath(a.Blockmap.ID)] = *a.Blockmap
		}
		for _, p := range a.Patches {
			want[mirror.PatchPath(p.Set.ID)] = p.Set
		}
	}
	want[mirror.IndexPath(r.Index.ID)] = r.Index
	for _, p := range r.Patches {
		want[mirror.PatchPath(p.Set.ID)] = p.Set
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		err := u.intact(ctx, name, want[name])
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("the version is there, but %s: %w: %w", name, mirror.ErrDamaged, err)
		}
	}
	return u.presentPacks(ctx, indexes)
}

// presentPacks makes sure that the packs that indexes name are there.
func (u *publisher) presentPacks(ctx context.Context, indexes []chunkstore.ID) error {
	for _, id := range indexes {
		b, err := mirror.ReadFile(ctx, u.store, mirror.IndexPath(id), mirror.MaxIndexSize)
		if err != nil {
			return err
		}
		x, err := chunkstore.ParseIndex(b)
		if err != nil {
			return fmt.Errorf("%s: %w: %w", mirror.IndexPath(id), mirror.ErrDamaged, err)
		}
		for _, p := range x.Packs {
			name := mirror.PackPath(p.ID)
			if err := u.hasSize(ctx, name, p.Size); err != nil {
				return fmt.Errorf("the version is there, but %s: %w: %w", name, mirror.ErrDamaged,
					err)
			}
		}
	}
	return nil
}

// hasSize holds a file of the mirror against its size.
func (u *publisher) hasSize(ctx context.Context, name string, size int64) error {
	f, err := u.store.Open(ctx, name)
	if err != nil {
		return err
	}
	defer f.Close() // read only
	if f.Size() != size {
		return fmt.Errorf("has %d of %d bytes", f.Size(), size)
	}
	return nil
}
