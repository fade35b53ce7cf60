package mirror

import (
	"fmt"
	"path/filepath"

	"deltaup/chunkstore"
)

// ReadRelease reads the release file of a version out of a mirror's folder.
func ReadRelease(dir, version string) (*Release, error) {
	if err := CheckName("version", version); err != nil {
		return nil, err
	}
	name := ReleasePath(version)
	r, err := readRelease(filepath.Join(dir, filepath.FromSlash(name)))
	if err == nil && r.Version != version {
		err = fmt.Errorf("%w: is that of version %s", chunkstore.ErrCorrupt, r.Version)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return r, nil
}

// ReadLocations tells from a mirror's folder where all chunks of a release with an image lie.
func ReadLocations(dir string, r *Release) (map[chunkstore.ID]chunkstore.Location, error) {
	at, err := readLocations(
		func(name string) string { return filepath.Join(dir, filepath.FromSlash(name)) },
		r,
	)
	if err != nil {
		return nil, fmt.Errorf("version %s: %w: %w", r.Version, ErrDamaged, err)
	}
	return at, nil
}

func readLocations(path func(name string) string,
	r *Release) (map[chunkstore.ID]chunkstore.Location, error) {
	var image []chunkstore.Chunk
	if a := r.Artifact(ImageName); a != nil && a.Recipe != nil {
		recipe, err := readStored(path, a.Recipe)
		if err != nil {
			return nil, err
		}
		image = recipe.Chunks()
	}
	name := IndexPath(r.Index.ID)
	b, err := readSmall(path(name), MaxIndexSize)
	if err != nil {
		return nil, err
	}
	x, err := chunkstore.ParseIndex(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return x.Locations(image)
}
