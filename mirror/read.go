package mirror

import (
	"context"
	"fmt"
	"io"

	"deltaup/chunkstore"
	"deltaup/mkimage"
)

// ReadFile reads a small file, of at most limit bytes.
func ReadFile(ctx context.Context, files Files, name string, limit int64) ([]byte, error) {
	f, err := files.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer f.Close() // read only
	if f.Size() > limit {
		return nil, fmt.Errorf("%s/%s: %w: longer than %d bytes", files, name,
			chunkstore.ErrCorrupt,
			limit)
	}
	return io.ReadAll(io.NewSectionReader(f, 0, f.Size()))
}

// ReadVerified is ReadFile for a file that must be o.
func ReadVerified(ctx context.Context, files Files, name string, o Object,
	limit int64) ([]byte, error) {
	b, err := ReadFile(ctx, files, name, limit)
	if err == nil && ObjectOf(b) != o {
		err = fmt.Errorf("%s/%s: %w: it has another hash", files, name, chunkstore.ErrCorrupt)
	}
	return b, err
}

// ReadRelease reads the release file of a version.
func ReadRelease(ctx context.Context, files Files, version string) (*Release, error) {
	if err := CheckName("version", version); err != nil {
		return nil, err
	}
	name := ReleasePath(version)
	b, err := ReadFile(ctx, files, name, MaxReleaseSize)
	var r *Release
	if err == nil {
		r, err = ParseRelease(b)
	}
	if err == nil && r.Version != version {
		err = fmt.Errorf("%w: is that of version %s", chunkstore.ErrCorrupt, r.Version)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return r, nil
}

// ReadRecipe reads an image's recipe.
func ReadRecipe(ctx context.Context, files Files, o *RecipeObject) (*mkimage.Recipe, error) {
	stored, err := ReadVerified(ctx, files, RecipePath(o.ID), o.Object, MaxRecipeSize)
	if err != nil {
		return nil, err
	}
	return o.Decode(stored)
}

// ReadLocations tells where all chunks of a release with an image lie.
func ReadLocations(ctx context.Context, files Files,
	r *Release) (map[chunkstore.ID]chunkstore.Location, error) {
	at, err := readLocations(ctx, files, r)
	if err != nil {
		return nil, fmt.Errorf("version %s: %w: %w", r.Version, ErrDamaged, err)
	}
	return at, nil
}

func readLocations(ctx context.Context, files Files,
	r *Release) (map[chunkstore.ID]chunkstore.Location, error) {
	var image []chunkstore.Chunk
	if a := r.Artifact(ImageName); a != nil && a.Recipe != nil {
		recipe, err := ReadRecipe(ctx, files, a.Recipe)
		if err != nil {
			return nil, err
		}
		image = recipe.Chunks()
	}
	name := IndexPath(r.Index.ID)
	b, err := ReadVerified(ctx, files, name, r.Index, MaxIndexSize)
	if err != nil {
		return nil, err
	}
	x, err := chunkstore.ParseIndex(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return x.Locations(image)
}
