package state

import (
	"errors"
	"os"
	"path/filepath"

	"deltaup/chunkstore"
	"deltaup/internal/durable"
)

func (f *Folder) metaPath(id chunkstore.ID) string {
	return filepath.Join(f.dir, "meta", id.String())
}

// HasMeta tells whether the folder seems to have the metadata file of that hash and size.
func (f *Folder) HasMeta(id chunkstore.ID, size int64) bool {
	info, err := os.Stat(f.metaPath(id))
	return err == nil && info.Size() == size
}

// Meta gives a metadata file's bytes, verified. Any error means that the file has to be fetched.
func (f *Folder) Meta(id chunkstore.ID, size int64) ([]byte, error) {
	path := f.metaPath(id)
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() != size {
		return nil, chunkstore.ErrCorrupt
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if chunkstore.Sum(b) != id {
		return nil, chunkstore.ErrCorrupt
	}
	return b, nil
}

// PutMeta keeps a metadata file. It does not wait for the disk, since whoever reads the file
// verifies it: what a power cut takes is fetched again.
func (f *Folder) PutMeta(id chunkstore.ID, b []byte) error {
	path := f.metaPath(id)
	if err := durable.MkdirAll(filepath.Dir(path)); err != nil {
		return err
	}
	return os.WriteFile(path, b, 0o644)
}

// pruneMeta removes all metadata files but keep.
func (f *Folder) pruneMeta(keep map[chunkstore.ID]bool) error {
	entries, err := os.ReadDir(filepath.Join(f.dir, "meta"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if id, parseErr := chunkstore.ParseID(e.Name()); parseErr == nil && !keep[id] {
			err = errors.Join(err, os.Remove(f.metaPath(id)))
		}
	}
	return err
}
