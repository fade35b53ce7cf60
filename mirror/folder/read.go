package folder

import (
	"fmt"
	"path/filepath"

	"deltaup/chunkstore"
	"deltaup/mirror"
	"deltaup/mirror/internal/verify"
)

// ReadRelease reads the release file of a version out of a mirror's folder.
func ReadRelease(dir, version string) (*mirror.Release, error) {
	if err := mirror.CheckName("version", version); err != nil {
		return nil, err
	}
	name := mirror.ReleasePath(version)
	r, err := verify.Release(filepath.Join(dir, filepath.FromSlash(name)))
	if err == nil && r.Version != version {
		err = fmt.Errorf("%w: is that of version %s", chunkstore.ErrCorrupt, r.Version)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return r, nil
}

// ReadLocations tells from a mirror's folder where all chunks of a release with an image lie.
func ReadLocations(dir string, r *mirror.Release) (map[chunkstore.ID]chunkstore.Location, error) {
	at, err := readLocations(
		func(name string) string { return filepath.Join(dir, filepath.FromSlash(name)) },
		r,
	)
	if err != nil {
		return nil, fmt.Errorf("version %s: %w: %w", r.Version, mirror.ErrDamaged, err)
	}
	return at, nil
}

func readLocations(path func(name string) string,
	r *mirror.Release) (map[chunkstore.ID]chunkstore.Location, error) {
	var image []chunkstore.Chunk
	if a := r.Artifact(mirror.ImageName); a != nil && a.Recipe != nil {
		recipe, err := verify.Recipe(path, a.Recipe)
		if err != nil {
			return nil, err
		}
		image = recipe.Chunks()
	}
	name := mirror.IndexPath(r.Index.ID)
	b, err := verify.Small(path(name), mirror.MaxIndexSize)
	if err != nil {
		return nil, err
	}
	x, err := chunkstore.ParseIndex(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return x.Locations(image)
}
